"""A host in memory for one plugin.

Its rules are `_state`'s and `_effects`'s; here events are delivered and effects come back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from .. import _logging, _run
from .._event import Delivery, Event
from .._host import Attributes
from .._plugin import Plugin, the_plugin
from ..objects import Object
from ._effects import Effect, Outbox
from ._events import raw
from ._run import Run
from ._state import Limits, State


class Host:
    """See `signalbox.testing`. `granted=False`: an operator who grants nothing."""

    def __init__(
        self,
        plugin: Plugin | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        granted: bool = True,
    ) -> None:
        self.plugin = plugin or the_plugin()
        self.settings = dict(settings or {})
        self._state = State(limits or Limits(), granted)
        self._outbox = Outbox(granted)

    def deliver(self, event: Event, *, attempt: int = 1, replay: bool = False) -> Run:
        """Deliver an event to the whole plugin."""
        delivery = Delivery(f"{event.provider}.{event.id}.{self.plugin.name}", attempt, replay)
        if not self.plugin.takes(event):
            return Run(None, False, [], 0, [])
        return self._run(delivery.id, lambda: self.plugin.handle(event, delivery))

    def run(self, function: Callable[[], Any]) -> Run:
        """Run any code that asks the host, as a delivery of its own: `host.run(lambda: f(event))`."""
        return self._run(f"stripe.evt_test.{self.plugin.name}", function)

    def _run(self, delivery: str, function: Callable[[], Any]) -> Run:
        state = self._state
        state.logs, state.logs_dropped = [], 0
        self._outbox.begin(delivery)
        root, handler = logging.getLogger(), _logging.HostHandler()
        level, kept = root.level, list(root.handlers)
        if not any(isinstance(h, _logging.HostHandler) for h in kept):
            root.addHandler(handler)
        if level == logging.WARNING:
            root.setLevel(logging.INFO)
        try:
            failure = _run.run(_Calls(self), function)
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        state.end(failure is None)
        effects = self._outbox.end(failure is None)
        return Run(failure, True, state.logs, state.logs_dropped, effects)

    def get(self, key: str, default: Any = None) -> Any:
        """What is kept under a key, written by `kv.set`."""
        value = self._state.committed.get(key)
        return default if value is None else json.loads(value)

    def get_text(self, key: str) -> str | None:
        """What is kept under a key, written by `kv.set_text`."""
        value = self._state.committed.get(key)
        return None if value is None else value.decode()

    def set(self, key: str, value: Any) -> None:
        """Keep a value, as if an earlier run had."""
        self._state.committed[key] = json.dumps(value).encode()

    def keys(self) -> list[str]:
        """Every key that is kept, in order."""
        return sorted(self._state.committed, key=str.encode)

    def put_object(
        self,
        kind: str,
        object: dict[str, Any],
        *,
        provider: str = "stripe",
        deleted: bool = False,
        event_id: str = "evt_test",
    ) -> None:
        """Put an object into the mirror, by its `id`. Events that are delivered do not feed it."""
        body = json.dumps(object, ensure_ascii=False).encode()
        row = Object(object["id"], kind, 0, event_id, deleted, body)
        self._state.mirror[provider, kind, row.id] = row

    @property
    def effects(self) -> list[Effect]:
        """Everything that committed runs asked for, in order."""
        return self._outbox.committed

    @property
    def waiting(self) -> list[Effect]:
        """Of those, what waits: neither performed nor withdrawn."""
        return [effect for effect in self.effects if effect.status == "waiting"]

    def fire(self, effect: Effect | str) -> Run:
        """Deliver a timer, or another event that a run emitted: its delay is over."""
        effect = self._perform(effect)
        if effect.kind is None:
            raise AssertionError(f"{effect.id} is a request: `reply` delivers its answer")
        content_type = effect.content_type or ""
        event = raw(self.plugin.name, _event_id(effect), effect.kind, effect.body, content_type)
        return self.deliver(event)

    def reply(
        self,
        effect: Effect | str,
        status: int,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Run:
        """Have a request answered. Status 0 stands for one that the host gave up; `body` says why."""
        effect = self._perform(effect)
        if effect.reply_as is None:
            raise AssertionError(f"{effect.id} asked for no answer: a request does with `reply_as`")
        attributes = {"status": str(status), "effect-id": effect.id}
        attributes |= {f"header-{name.lower()}": value for name, value in (headers or {}).items()}
        data = body.encode() if isinstance(body, str) else body
        content_type = attributes.get("header-content-type", "application/octet-stream")
        event = raw(
            self.plugin.name, _event_id(effect), effect.reply_as, data, content_type, attributes
        )
        return self.deliver(event)

    def _perform(self, effect: Effect | str) -> Effect:
        id = effect if isinstance(effect, str) else effect.id
        found = self._outbox.find(id)
        if found is None:
            raise AssertionError(f"no run that succeeded asked for {id}")
        if found.status != "waiting":
            raise AssertionError(f"{id} does not wait: it is {found.status}")
        found.status = "performed"
        return found


class _Calls:
    """What the running receiver asks: `_host.Calls` of a test."""

    def __init__(self, host: Host) -> None:
        self._host, self._state, self._outbox = host, host._state, host._outbox
        self.log = self._state.log
        self.kv_get, self.kv_set = self._state.get, self._state.set
        self.kv_delete, self.kv_keys = self._state.delete, self._state.keys

    def setting(self, key: str) -> str | None:
        return self._host.settings.get(key)

    def settings(self) -> list[tuple[str, str]]:
        return sorted(self._host.settings.items())

    def object(self, provider: str, kind: str, id: str) -> Object | None:
        return self._state.object(provider, kind, id)

    def http(
        self,
        method: str,
        url: str,
        headers: Attributes,
        body: bytes,
        reply: str | None,
        delay: int | None,
    ) -> str:
        effect = Effect("", body, _delay(delay), method, url, dict(headers), reply)
        return self._ask(effect)

    def emit(self, kind: str, content_type: str, body: bytes, delay: int | None) -> str:
        return self._ask(Effect("", body, _delay(delay), kind=kind, content_type=content_type))

    def cancel(self, effect: str) -> bool:
        return self._outbox.cancel(effect, self._state.limits.effects)

    def _ask(self, effect: Effect) -> str:
        limits = self._state.limits
        return self._outbox.ask(effect, limits.effects, limits.effect_bytes)


def _delay(milliseconds: int | None) -> timedelta:
    return timedelta(milliseconds=milliseconds or 0)


def _event_id(effect: Effect) -> str:
    """The identifier of the event that an effect makes: always the same, as on the real host."""
    return "evt_" + effect.id.replace(".", "_")
