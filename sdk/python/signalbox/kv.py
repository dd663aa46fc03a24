"""The plugin's durable state: one ordered map, committed with the run or not at all.

Nothing else survives a run: every event meets a fresh instance, in which globals have the values
they had when the plugin was built.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ._failure import BadValue, LimitReached
from ._host import running

_COUNTER_BOUND = 1 << 63
"""Counters fit 64 bits: any language can read what another wrote."""


def get(key: str, default: Any = None) -> Any:
    """The value under `key`, written by `set`."""
    value = running().kv_get(key)
    if value is None:
        return default
    try:
        return json.loads(value)
    except ValueError as error:
        raise BadValue(
            f"kv `{key}`: it holds no JSON; `get_text` and `get_bytes` read it"
        ) from error


def set(key: str, value: Any) -> None:
    """Keep what JSON can express."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    running().kv_set(key, text.encode())


def get_text(key: str) -> str | None:
    """The text under `key`, written by `set_text`."""
    value = running().kv_get(key)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        raise BadValue(f"kv `{key}`: it holds no text; `get_bytes` reads it") from error


def set_text(key: str, value: str) -> None:
    """Keep text as it is, without JSON's quotes."""
    running().kv_set(key, value.encode())


def get_bytes(key: str) -> bytes | None:
    """The bytes under `key`, whoever wrote them."""
    return running().kv_get(key)


def set_bytes(key: str, value: bytes) -> None:
    """Keep bytes."""
    running().kv_set(key, bytes(value))


def delete(key: str) -> None:
    """Remove `key`. Removing an absent one is no error."""
    running().kv_delete(key)


def keys(prefix: str = "") -> Iterator[str]:
    """The keys that start with `prefix`, in ascending byte order, fetched a page at a time."""
    after: str | None = None
    while True:
        page, after = running().kv_keys(prefix, after)
        yield from page
        if after is None:
            return


class Counter:
    """A whole number that counts each event once, however often it was attempted."""

    def __init__(self, key: str) -> None:
        self.key = key

    def get(self) -> int:
        """What it stands at; 0 until it is first added to."""
        value = get(self.key, 0)
        if type(value) is not int:
            raise BadValue(f"kv `{self.key}`: it holds no whole number")
        return value

    def add(self, n: int = 1) -> int:
        """Add `n`, which may be negative, and say what it stands at then."""
        total = self.get() + n
        if not -_COUNTER_BOUND <= total < _COUNTER_BOUND:
            raise LimitReached(f"kv `{self.key}`: the counter is full")
        set(self.key, total)
        return total


def counter(key: str) -> Counter:
    """The counter under `key`."""
    return Counter(key)
