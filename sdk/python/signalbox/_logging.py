"""The standard `logging` module, led to the host.

Not the host's own log (`log`).
"""

from __future__ import annotations

import logging

from ._host import Calls, running

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class HostHandler(logging.Handler):
    """Writes each record to whoever runs the receiver: its text, its logger, and what `extra` gave."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            calls: Calls = running()
        except RuntimeError:
            return  # A module that logs while it loads: there is no delivery to log for.
        attributes = [] if record.name == "root" else [("logger", record.name)]
        for name, value in record.__dict__.items():
            if name not in _STANDARD:
                attributes.append((name, str(value)))
        calls.log(_level(record.levelno), self.format(record), attributes)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    if number >= logging.INFO:
        return "info"
    return "debug" if number >= logging.DEBUG else "trace"


def install() -> None:
    """Have all records from `info` up, unless the plugin chose otherwise."""
    root = logging.getLogger()
    if any(isinstance(handler, HostHandler) for handler in root.handlers):
        return
    # What `basicConfig` made writes to standard error, which is the log too: each line would be there twice.
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.addHandler(HostHandler())
    if root.level == logging.WARNING:
        root.setLevel(logging.INFO)
