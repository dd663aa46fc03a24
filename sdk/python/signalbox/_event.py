"""The event a receiver is handed, read on demand.

Not its parsing in the host, which verified it before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from ._failure import BadShape

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Delivery:
    """One attempt at handing an event to a plugin."""

    id: str
    """The same for every attempt of this event at this plugin: derive idempotency keys from it."""
    attempt: int
    """1 for the first."""
    replay: bool
    """Whether an operator replays an event that had been settled."""


@dataclass(frozen=True)
class Reply:
    """The answer to a request that asked for one with `reply_as`."""

    status: int
    """0 when the host gave the request up; the body says why."""
    effect: str
    """Which request: what `outbox.post` and its kin returned."""
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the receiver of the request took it."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON."""
        return parse(self.body, "the answer")


@dataclass(frozen=True)
class Event:
    """One webhook whose signature the host verified, or an event that the host made.

    The same for every attempt.
    """

    id: str
    """The provider's identifier, `evt_...`."""
    provider: str
    """Who sent it: `stripe`; a plugin's name or `signalbox` for one that the host made."""
    kind: str
    """The provider's event type, e.g. `charge.succeeded`."""
    body: bytes = field(repr=False)
    """The very bytes: those the signature covers, or what was emitted or answered."""
    content_type: str = "application/json"
    occurred_at_ms: int = field(default=0, repr=False)
    received_at_ms: int = field(default=0, repr=False)
    attributes: dict[str, str] = field(default_factory=dict, repr=False)
    """Facts that not every provider has, e.g. `request-id`."""

    @property
    def type(self) -> str:
        """Stripe's word for `kind`."""
        return self.kind

    @property
    def occurred_at(self) -> datetime:
        """When the provider says it happened: events arrive out of order."""
        return moment(self.occurred_at_ms)

    @property
    def received_at(self) -> datetime:
        """When the host accepted it."""
        return moment(self.received_at_ms)

    @cached_property
    def json(self) -> Any:
        """The whole body as JSON. Whole numbers are exact, however large."""
        return parse(self.body, f"the body of `{self.kind}`")

    @property
    def data(self) -> dict[str, Any]:
        """Stripe's `data`: `object`, and `previous_attributes` in an update."""
        return self._part("data", self.json)

    @property
    def object(self) -> dict[str, Any]:
        """What the event is about: Stripe's `data.object`. (A thin event has none.)"""
        return self._part("object", self.data, "data.")

    @property
    def previous_attributes(self) -> dict[str, Any] | None:
        """What changed, with the values before; `None` when the event is no change."""
        if "previous_attributes" not in self.data:
            return None
        return self._part("previous_attributes", self.data, "data.")

    @property
    def text(self) -> str:
        """The body as text."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise BadShape(f"the body of `{self.kind}` is no text: {error}") from error

    @property
    def account(self) -> str | None:
        """The connected account it belongs to."""
        return self.attributes.get("account")

    @property
    def livemode(self) -> bool | None:
        """Whether it is about real money; `None` where the provider has no such notion."""
        value = self.attributes.get("livemode")
        return None if value is None else value == "true"

    @property
    def api_version(self) -> str | None:
        """The version of the provider's API that shaped the body."""
        return self.attributes.get("api-version")

    @property
    def reply(self) -> Reply | None:
        """The answer that this event brings; `None` when it is none."""
        status, effect = self.attributes.get("status"), self.attributes.get("effect-id")
        if status is None or effect is None:
            return None
        headers = {
            name.removeprefix("header-"): value
            for name, value in self.attributes.items()
            if name.startswith("header-")
        }
        return Reply(int(status), effect, headers, self.body)

    def _part(self, name: str, whole: Any, path: str = "") -> dict[str, Any]:
        part = whole.get(name) if isinstance(whole, dict) else None
        if not isinstance(part, dict):
            raise BadShape(f"the body of `{self.kind}` has no object `{path}{name}`")
        return part


def parse(body: bytes, what: str) -> Any:
    """JSON, or which part of what is none."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise BadShape(f"{what} is not JSON: {error}") from error


def moment(milliseconds: int) -> datetime:
    """A time of the contract's."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
