"""The operator's settings for this plugin (`[plugin.NAME.settings]`). Never secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, overload

from ._failure import BadSetting
from ._host import running

T = TypeVar("T")


@overload
def get(key: str) -> str | None: ...


@overload
def get(key: str, default: str) -> str: ...


def get(key: str, default: str | None = None) -> str | None:
    """One setting as text."""
    value = running().setting(key)
    return default if value is None else value


def require(key: str) -> str:
    """One setting that must be there; without it the delivery waits for the operator."""
    value = running().setting(key)
    if value is None:
        raise BadSetting(f"the operator's setting `{key}` is missing")
    return value


@overload
def parse(key: str, read: Callable[[str], T]) -> T | None: ...


@overload
def parse(key: str, read: Callable[[str], T], default: T) -> T: ...


def parse(key: str, read: Callable[[str], T], default: T | None = None) -> T | None:
    """One setting, read by a function such as `int`: `config.parse("limit", int, 100)`."""
    value = running().setting(key)
    if value is None:
        return default
    try:
        return read(value)
    except Exception as error:
        raise BadSetting(f"the operator's setting `{key}` cannot be used: {error}") from error


def all() -> dict[str, str]:
    """Every setting, sorted by key."""
    return dict(running().settings())
