"""Durable timers: events that the plugin emits to itself, later. They outlive restarts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from . import outbox


def set(kind: str, data: Any, delay: timedelta) -> str:
    """Deliver an event of this type to the plugin, no earlier than `delay` after the commit.

    `event.json` is `data`. Take it with `@receiver(kind, provider="THIS-PLUGIN")`; it needs a grant
    to emit: `plugin(emit=[kind], ...)`. Returns the timer's identifier, for `cancel`.
    """
    return outbox.emit(kind, data, delay=delay)


def cancel(timer: str) -> bool:
    """Withdraw a timer that an earlier delivery set. `False`: it has fired or was withdrawn."""
    return outbox.cancel(timer)
