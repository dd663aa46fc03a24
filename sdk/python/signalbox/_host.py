"""The seam between the SDK and whoever answers it: the host of a component, or a test's.

Not for plugins: they use `kv`, `outbox` and their kin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .objects import Object

Attributes = list[tuple[str, str]]


class Calls(Protocol):
    """What the contract lets a plugin call. Refusals are exceptions of `_failure`."""

    def log(self, level: str, message: str, attributes: Attributes) -> None: ...

    def setting(self, key: str) -> str | None: ...

    def settings(self) -> list[tuple[str, str]]: ...

    def kv_get(self, key: str) -> bytes | None: ...

    def kv_set(self, key: str, value: bytes) -> None: ...

    def kv_delete(self, key: str) -> None: ...

    def kv_keys(self, prefix: str, after: str | None) -> tuple[list[str], str | None]: ...

    def object(self, provider: str, kind: str, id: str) -> Object | None: ...

    def http(
        self,
        method: str,
        url: str,
        headers: Attributes,
        body: bytes,
        reply: str | None,
        delay: int | None,
    ) -> str: ...

    def emit(self, kind: str, content_type: str, body: bytes, delay: int | None) -> str: ...

    def cancel(self, effect: str) -> bool: ...


_running: Calls | None = None


def running() -> Calls:
    """Who answers now."""
    if _running is None:
        raise RuntimeError(
            "there is no host to ask: a receiver runs in signalbox, and in a test in "
            "`signalbox.testing.Host().deliver(event)`; nothing can be asked while a module loads"
        )
    return _running


def enter(calls: Calls | None) -> Calls | None:
    """Let `calls` answer from now on. Who did before."""
    global _running
    before, _running = _running, calls
    return before
