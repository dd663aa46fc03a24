"""How one run ended, and what a test expects of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._failure import Failure, Reject, Retry
from ._effects import Effect


@dataclass(frozen=True)
class Record:
    """One log record."""

    level: str
    message: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run."""

    failure: Failure | None
    """`None` after success. Of an uncaught exception a `Retry` whose `__cause__` it is."""
    subscribed: bool
    """Whether the plugin takes such events: the host would not have started it otherwise."""
    logs: list[Record]
    logs_dropped: int
    """Records over the limit."""
    effects: list[Effect]
    """What it asked the outbox for, in order; empty unless it succeeded."""

    @property
    def ok(self) -> bool:
        """Whether it ran and succeeded."""
        return self.subscribed and self.failure is None

    def expect_ok(self) -> Run:
        """Go on only after success; an uncaught exception is shown whole."""
        if not self.ok:
            cause = None if self.failure is None else self.failure.__cause__
            raise AssertionError(self._end()) from cause or self.failure
        return self

    def expect_retry(self) -> str:
        """The reason given with `Retry`."""
        if not isinstance(self.failure, Retry):
            raise AssertionError(f"{self._end()}, not in a retry") from self.failure
        return self.failure.reason

    def expect_reject(self) -> str:
        """The reason given with `Reject`."""
        if not isinstance(self.failure, Reject):
            raise AssertionError(f"{self._end()}, not in a reject") from self.failure
        return self.failure.reason

    def logged(self, text: str) -> bool:
        """Whether some record's message holds `text`."""
        return any(text in record.message for record in self.logs)

    def _end(self) -> str:
        if not self.subscribed:
            return "the plugin does not take such events"
        if self.failure is None:
            return "the run succeeded"
        return f"the run ended in {type(self.failure).__name__}: {self.failure.reason}"
