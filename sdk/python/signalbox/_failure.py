"""How a receiver says that it did not succeed, and what the host refuses.

Any other exception is an error of the plugin's: the host logs its traceback and tries again.
"""

from __future__ import annotations

from datetime import timedelta


class Failure(Exception):
    """What ends a run on purpose: `Retry` or `Reject`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(Failure):
    """It may succeed later: the host delivers the event again.

    `after` is the earliest moment at which that is useful; the host keeps it within its bounds, and
    follows its own schedule without it.
    """

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Reject(Failure):
    """It never will: the host keeps the event as a dead letter."""


class NotGranted(Retry):
    """No grant of the operator's covers it. The event is not at fault, so it is tried again."""


class LimitReached(Retry):
    """The delivery, or the plugin as a whole, uses more than the host allows."""


class Invalid(Retry):
    """What was asked of the host is not well-formed. A mended plugin rescues the delivery."""


class BadShape(Reject):
    """The event's body is not what was asked for. It will not change."""


class BadSetting(Retry):
    """A setting is missing or cannot be read. The operator can mend it."""


class BadValue(Retry):
    """What is stored is not what was asked for."""
