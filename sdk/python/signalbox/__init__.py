"""signalbox plugins in Python: a function on a webhook event.

Not the host: what a receiver asks for (`kv`, `outbox`, ...) is answered by signalbox, or in a
test by `signalbox.testing.Host`.
"""

from . import config, kv, log, objects, outbox, timer
from ._event import Delivery, Event, Reply
from ._failure import (
    BadSetting,
    BadShape,
    BadValue,
    Failure,
    Invalid,
    LimitReached,
    NotGranted,
    Reject,
    Retry,
)
from ._plugin import Plugin, plugin, receiver

__all__ = [
    "BadSetting",
    "BadShape",
    "BadValue",
    "Delivery",
    "Event",
    "Failure",
    "Invalid",
    "LimitReached",
    "NotGranted",
    "Plugin",
    "Reject",
    "Reply",
    "Retry",
    "config",
    "kv",
    "log",
    "objects",
    "outbox",
    "plugin",
    "receiver",
    "timer",
]
