"""What a plugin is: its manifest and its receivers, and the running of them.

Not the component's exports (`_component`), which speak the contract's types.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from ._event import Delivery, Event
from ._failure import Reject

Receiving = TypeVar("Receiving", bound=Callable[..., None])

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Subscription:
    """`handler.subscription` of the contract."""

    provider: str
    kind: str
    filter: str | None

    def takes(self, event: Event) -> bool:
        """Whether the event's type is one of these. The filter is the host's to evaluate."""
        if event.provider != self.provider:
            return False
        if self.kind == "*" or self.kind == event.kind:
            return True
        return self.kind.endswith(".*") and event.kind.startswith(self.kind[:-1])


@dataclass(frozen=True)
class Receiver:
    """One function and the events it takes."""

    function: Callable[..., Any]
    subscriptions: list[Subscription]
    wants_delivery: bool

    @property
    def name(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))

    def run(self, event: Event, delivery: Delivery) -> None:
        answer = self.function(event, delivery) if self.wants_delivery else self.function(event)
        if answer is not None:
            if inspect.iscoroutine(answer):
                answer.close()
            raise Reject(
                f"`{self.name}` returned {answer!r:.200}, which is not a way to end: a receiver "
                "returns nothing. Raise `Retry(...)` or `Reject(...)` to say that it failed"
            )


@dataclass
class Plugin:
    """A plugin: what `describe` answers and `handle` runs. Most make it with `plugin(...)`."""

    name: str = ""
    version: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)

    def receiver(
        self,
        *kinds: str | Iterable[str],
        provider: str = "stripe",
        filter: str | None = None,
    ) -> Callable[[Receiving], Receiving]:
        """As the function `receiver`, for this plugin."""
        # dj-stripe's decorator takes a list of types too.
        flat: list[str] = []
        for one in kinds:
            flat += [one] if isinstance(one, str) or not isinstance(one, Iterable) else one
        if not flat or not all(isinstance(kind, str) for kind in flat):
            raise TypeError('name the event types: `@receiver("charge.succeeded")`')
        for kind in flat:
            if "*" in kind and kind != "*" and not (kind.endswith(".*") and kind.count("*") == 1):
                raise ValueError(f"`{kind}`: a `*` stands alone or at the end, as in `invoice.*`")
        subscriptions = [Subscription(provider, kind, filter) for kind in flat]

        def register(function: Receiving) -> Receiving:
            self.receivers.append(Receiver(function, subscriptions, _check(function)))
            return function

        return register

    def takes(self, event: Event) -> bool:
        """Whether some receiver takes such events."""
        return any(s.takes(event) for r in self.receivers for s in r.subscriptions)

    def handle(self, event: Event, delivery: Delivery) -> None:
        """Run the receivers of such events, in the order they were written; the first failure ends it."""
        for receiver in self.receivers:
            if any(subscription.takes(event) for subscription in receiver.subscriptions):
                receiver.run(event, delivery)

    def check(self) -> None:
        """Whether it is whole: a component is built of nothing less."""
        if not self.name:
            raise ValueError('no `plugin(name="...", version="...")` says what this plugin is')
        if not self.receivers:
            raise ValueError(f"the plugin `{self.name}` has no `@receiver`")


def _check(function: Callable[..., Any]) -> bool:
    """Refuse what Python would take silently. Whether the function wants the delivery."""
    name = getattr(function, "__qualname__", repr(function))
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"`{name}` is `async`, and nothing would run it: write `def {name}`. A receiver waits "
            "for nothing; what it asks of `outbox` happens after it"
        )
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"`{name}` has a `yield`, and nothing would run it: return nothing instead")
    parameters = inspect.signature(function).parameters.values()
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in placed if p.default is p.empty]
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(required) > 2 or named or not (placed or any_number):
        raise TypeError(
            f"`{name}` takes no event: write `def {name}(event)` or `(event, delivery)`"
        )
    # A second one that has a default is the author's own.
    return len(required) == 2 or (len(placed) == 2 and placed[1].name == "delivery")


_the_plugin = Plugin()


def the_plugin() -> Plugin:
    """The plugin of this process: a component holds one."""
    return _the_plugin


def receiver(
    *kinds: str | Iterable[str], provider: str = "stripe", filter: str | None = None
) -> Callable[[Receiving], Receiving]:
    """Run the function on events of these types: `invoice.paid`, `customer.subscription.*`, `*`.

    `filter` is a CEL expression over the event that the host evaluates without starting the plugin:
    `event.data.object.amount > 100000`. `provider` is `stripe`, another provider, the name of a
    plugin for what it emits, or `signalbox` for what happens in the host.
    """
    return _the_plugin.receiver(*kinds, provider=provider, filter=filter)


def plugin(
    *,
    name: str,
    version: str,
    description: str | None = None,
    http: Iterable[str] = (),
    emit: Iterable[str] = (),
    objects: Iterable[str] = (),
    secrets: Iterable[str] = (),
    ordering: Literal["object", "none"] | None = None,
    concurrency: int | None = None,
    cpu: str | None = None,
    wall: str | None = None,
    memory: str | None = None,
) -> Plugin:
    """Say what this plugin is. Once, at the top of its module.

    What the operator is to grant: `http` requests (`POST https://api.example.com/*`), types to
    `emit` (`reminder.*`), mirrored `objects` (`stripe customer`), `secrets` by name. What the plugin
    can do with: `concurrency`, `cpu="200ms"`, `wall="2s"`, `memory="48MiB"`.
    """
    if _the_plugin.name:
        raise ValueError(f"a component holds one plugin, and this one is `{_the_plugin.name}`")
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{name}` is no name of a plugin: lower case, with hyphens between words")
    asked = {"outbox.http": http, "outbox.emit": emit, "objects": objects, "secret": secrets}
    for capability, scopes in asked.items():
        if isinstance(scopes, str):
            raise TypeError(f"`{scopes}` is one scope: write a list of them")
        _the_plugin.requests += [(capability, scope) for scope in scopes]
    attributes = {
        "description": description,
        "ordering": ordering,
        "concurrency": None if concurrency is None else str(concurrency),
        "limit-cpu": cpu,
        "limit-wall": wall,
        "limit-memory": memory,
    }
    _the_plugin.attributes = {key: value for key, value in attributes.items() if value is not None}
    _the_plugin.name, _the_plugin.version = name, version
    return _the_plugin
