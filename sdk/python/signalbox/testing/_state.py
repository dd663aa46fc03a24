"""What the test host keeps: committed values, what the run under way writes, its records.

The rules are the contract's (`wit/0.1/kv.wit`); the numbers are the real host's defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .._failure import LimitReached, NotGranted
from .._host import Attributes
from ..objects import Object
from ._run import Record

_LONGEST_KEY = 512

_PAGE = 16
"""Keys of one page: few, so that a test crosses from one to the next."""


@dataclass
class Limits:
    """What one run may use. The defaults are those of the real host."""

    kv_operations: int = 1_000
    kv_value: int = 256 << 10
    """Bytes of one value."""
    kv_writes: int = 1 << 20
    """Bytes of all writes of one run."""
    kv_quota: int = 64 << 20
    """Bytes of all keys and values the plugin holds."""
    object_reads: int = 100
    object_bytes: int = 4 << 20
    effects: int = 100
    """Effects and withdrawals of one run."""
    effect_bytes: int = 1 << 20
    log_records: int = 200


@dataclass
class State:
    """The plugin's values, and the run that is under way."""

    limits: Limits
    granted: bool
    committed: dict[str, bytes] = field(default_factory=dict)
    mirror: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    logs: list[Record] = field(default_factory=list)
    logs_dropped: int = 0
    _writes: dict[str, bytes | None] = field(default_factory=dict)
    """`None` for what the run deleted."""
    _operations: int = 0
    _written: int = 0
    _reads: int = 0
    _read_bytes: int = 0

    def end(self, commit: bool) -> None:
        """Keep what the run wrote, or forget it."""
        if commit:
            self.committed = self._visible()
        self._writes = {}
        self._operations = self._written = self._reads = self._read_bytes = 0

    def log(self, level: str, message: str, attributes: Attributes) -> None:
        if len(self.logs) < self.limits.log_records:
            self.logs.append(Record(level, message, dict(attributes)))
        else:
            self.logs_dropped += 1

    def get(self, key: str) -> bytes | None:
        self._operation(key)
        return self._visible().get(key)

    def set(self, key: str, value: bytes) -> None:
        self._operation(key)
        if len(value) > self.limits.kv_value:
            raise LimitReached(f"kv `{key}`: the value is larger than the host allows")
        self._write(key, len(key.encode()) + len(value))
        held = {**self._visible(), key: value}
        if sum(len(k.encode()) + len(v) for k, v in held.items()) > self.limits.kv_quota:
            raise LimitReached(
                f"kv `{key}`: the plugin holds as many bytes as the operator granted"
            )
        self._writes[key] = value

    def delete(self, key: str) -> None:
        self._operation(key)
        self._write(key, len(key.encode()))
        self._writes[key] = None

    def keys(self, prefix: str, after: str | None) -> tuple[list[str], str | None]:
        self._operation(prefix, key=False)
        found = sorted(key.encode() for key in self._visible() if key.startswith(prefix))
        keys = [key.decode() for key in found if after is None or key > after.encode()]
        return keys[:_PAGE], keys[_PAGE - 1] if len(keys) > _PAGE else None

    def object(self, provider: str, kind: str, id: str) -> Object | None:
        if not self.granted:
            raise NotGranted(f"not granted: objects `{provider} {kind}`")
        self._reads += 1
        found = self.mirror.get((provider, kind, id))
        self._read_bytes += 0 if found is None else len(found.body)
        limits = self.limits
        if self._reads > limits.object_reads or self._read_bytes > limits.object_bytes:
            raise LimitReached("objects: the delivery reads more than the host allows")
        return found

    def _visible(self) -> dict[str, bytes]:
        both = {**self.committed, **self._writes}
        return {key: value for key, value in both.items() if value is not None}

    def _operation(self, name: str, key: bool = True) -> None:
        self._operations += 1
        if self._operations > self.limits.kv_operations:
            raise self._too_much(name)
        if key and not 0 < len(name.encode()) <= _LONGEST_KEY:
            raise LimitReached(f"kv `{name}`: the key is empty or longer than 512 bytes")

    def _write(self, key: str, size: int) -> None:
        self._written += size
        if self._written > self.limits.kv_writes:
            raise self._too_much(key)

    @staticmethod
    def _too_much(name: str) -> LimitReached:
        return LimitReached(f"kv `{name}`: the delivery reads or writes more than the host allows")
