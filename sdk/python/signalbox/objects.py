"""The host's mirror of the provider's objects: what its events showed of them, read-only.

It holds the event being handled and may hold later ones. Every kind needs a grant: say what you
read with `plugin(objects=["stripe customer"], ...)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from ._event import moment, parse
from ._host import running


@dataclass(frozen=True)
class Object:
    """The newest state of one object that the host has seen."""

    id: str
    kind: str
    as_of_ms: int = field(repr=False)
    event_id: str
    """The event this state came from; empty for a state that was fetched."""
    deleted: bool
    """Whether the provider said that it is gone; `data` is then the last state before that."""
    body: bytes = field(repr=False)

    @property
    def as_of(self) -> datetime:
        """When the event happened that this state came from."""
        return moment(self.as_of_ms)

    @cached_property
    def data(self) -> Any:
        """The object, parsed."""
        return parse(self.body, f"{self.kind} {self.id}")


def get(kind: str, id: str, provider: str = "stripe") -> Object | None:
    """One object, `None` when no event has shown it.

    Raises `NotGranted` and `LimitReached`.
    """
    return running().object(provider, kind, id)
