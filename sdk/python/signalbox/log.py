"""Log records with searchable values, kept even when the run fails.

The standard `logging` module leads to the same place, and so does `print`, a line at level `info`.
"""

from __future__ import annotations

from typing import Any

from ._host import running


def trace(message: object, **attributes: Any) -> None:
    """Finest."""
    write("trace", message, **attributes)


def debug(message: object, **attributes: Any) -> None:
    """For authors."""
    write("debug", message, **attributes)


def info(message: object, **attributes: Any) -> None:
    """Normal: `log.info("a charge", id=charge["id"], amount=charge["amount"])`."""
    write("info", message, **attributes)


def warn(message: object, **attributes: Any) -> None:
    """Look at it some day."""
    write("warn", message, **attributes)


warning = warn


def error(message: object, **attributes: Any) -> None:
    """Look at it."""
    write("error", message, **attributes)


def write(level: str, message: object, /, **attributes: Any) -> None:
    """Write one record. The host counts and drops what is over its limit."""
    pairs = [(name, str(value)) for name, value in attributes.items()]
    running().log(level, str(message), pairs)
