"""The component: the contract's exports over the plugin, its imports as `_host.Calls`.

Loaded by `signalbox build` alone, when the plugin's own module has been: `wit_world` is made by
componentize-py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import handler
from wit_world.imports import config, kv, log, objects, outbox, types

from . import _failure, _image
from ._event import Delivery, Event
from ._host import Attributes
from ._plugin import the_plugin
from ._run import run
from .objects import Object

T = TypeVar("T")

_KV_LIMITS = {
    kv.Limit.KEY_SIZE: "the key is empty or longer than 512 bytes",
    kv.Limit.VALUE_SIZE: "the value is larger than the host allows",
    kv.Limit.QUOTA: "the plugin holds as many bytes as the operator granted",
    kv.Limit.OPERATIONS: "the delivery reads or writes more than the host allows",
}


class Host:
    """`_host.Calls` of a component."""

    def log(self, level: str, message: str, attributes: Attributes) -> None:
        # What was printed before comes before.
        sys.stdout.flush()
        log.write(log.Level[level.upper()], message, attributes)

    def setting(self, key: str) -> str | None:
        return config.get(key)

    def settings(self) -> list[tuple[str, str]]:
        return config.get_all()

    def kv_get(self, key: str) -> bytes | None:
        return self._kv(key, lambda: kv.get(key))

    def kv_set(self, key: str, value: bytes) -> None:
        self._kv(key, lambda: kv.set(key, value))

    def kv_delete(self, key: str) -> None:
        self._kv(key, lambda: kv.delete(key))

    def kv_keys(self, prefix: str, after: str | None) -> tuple[list[str], str | None]:
        page = self._kv(prefix, lambda: kv.keys(prefix, after))
        return page.keys, page.next

    def _kv(self, key: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except Err as error:
            raise _failure.LimitReached(f"kv `{key}`: {_KV_LIMITS[error.value]}") from None

    def object(self, provider: str, kind: str, id: str) -> Object | None:
        try:
            row = objects.get(provider, kind, id)
        except Err as error:
            if error.value == objects.Refusal.NOT_GRANTED:
                raise _failure.NotGranted(f"not granted: objects `{provider} {kind}`") from None
            raise _failure.LimitReached(
                "objects: the delivery reads more than the host allows"
            ) from None
        if row is None:
            return None
        return Object(row.id, row.kind, row.as_of, row.event_id, row.deleted, row.body)

    def http(
        self,
        method: str,
        url: str,
        headers: Attributes,
        body: bytes,
        reply: str | None,
        delay: int | None,
    ) -> str:
        request = outbox.HttpRequest(method, url, headers, body)
        try:
            if reply is None:
                return outbox.http(request, delay)
            return outbox.http_with_reply(request, reply, delay)
        except Err as error:
            _refuse(error.value)

    def emit(self, kind: str, content_type: str, body: bytes, delay: int | None) -> str:
        try:
            return outbox.emit(kind, content_type, body, delay)
        except Err as error:
            _refuse(error.value)

    def cancel(self, effect: str) -> bool:
        try:
            return outbox.cancel(effect)
        except Err as error:
            _refuse(error.value)


def _refuse(refusal: outbox.Refusal) -> NoReturn:
    if isinstance(refusal, outbox.Refusal_NotGranted):
        raise _failure.NotGranted(f"not granted: {refusal.value}") from None
    if isinstance(refusal, outbox.Refusal_Invalid):
        raise _failure.Invalid(f"outbox: {refusal.value}") from None
    raise _failure.LimitReached("outbox: the delivery asks for more than the host allows") from None


class Handler(exports.Handler):
    """What the host calls."""

    def describe(self) -> handler.Manifest:
        plugin = the_plugin()
        subscriptions: list[handler.Subscription] = []
        for receiver in plugin.receivers:
            for wanted in receiver.subscriptions:
                one = handler.Subscription(wanted.provider, wanted.kind, wanted.filter)
                if one not in subscriptions:
                    subscriptions.append(one)
        requests = [handler.Request(capability, scope) for capability, scope in plugin.requests]
        attributes = list(plugin.attributes.items())
        return handler.Manifest(plugin.name, plugin.version, subscriptions, requests, attributes)

    def handle(self, event: types.Event, delivery: types.Delivery) -> None:
        handed = Event(
            event.id,
            event.provider,
            event.kind,
            event.body,
            event.content_type,
            event.occurred_at,
            event.received_at,
            dict(event.attributes),
        )
        attempt = Delivery(delivery.id, delivery.attempt, delivery.replay)
        failure = run(Host(), lambda: the_plugin().handle(handed, attempt))
        if failure is None:
            return
        if isinstance(failure, _failure.Retry):
            after = failure.after
            wait = None if after is None else max(0, round(after.total_seconds() * 1000))
            raise Err(types.Failure_Retry(types.Retry(failure.reason, wait)))
        raise Err(types.Failure_Reject(failure.reason))


def prepare() -> None:
    """Make the image ready. Called last at build time, when the plugin's module is loaded."""
    the_plugin().check()
    _image.prepare()
