"""The test host's outbox: what committed runs asked for, and what became of it.

Nothing is performed: `Host.fire` and `Host.reply` play the host's part. What the real host calls
ill-formed is not looked at but for the mistakes that are easily made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from .._failure import Invalid, LimitReached, NotGranted


@dataclass
class Effect:
    """What a plugin asked the host to do: a request when it has a `url`, else an event."""

    id: str
    body: bytes
    delay: timedelta
    method: str | None = None
    url: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Secrets stand as `{{secret:NAME}}`."""
    reply_as: str | None = None
    kind: str | None = None
    """The type of an event."""
    content_type: str | None = None
    status: Literal["waiting", "performed", "cancelled"] = "waiting"

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def size(self) -> int:
        """What counts against `effect_bytes`."""
        texts = [self.method, self.url, self.reply_as, self.kind, self.content_type]
        texts += [text for pair in self.headers.items() for text in pair]
        return len(self.body) + sum(len(text.encode()) for text in texts if text)


class Outbox:
    """The effects of one plugin; `begin` and `end` bracket a run."""

    def __init__(self, granted: bool) -> None:
        self.granted = granted
        self.committed: list[Effect] = []
        self._delivery = ""
        self._asked: list[Effect] = []
        self._cancelled: list[str] = []
        self._operations = 0
        self._bytes = 0

    def begin(self, delivery: str) -> None:
        self._delivery = delivery

    def end(self, commit: bool) -> list[Effect]:
        asked, self._asked = self._asked, []
        cancelled, self._cancelled = self._cancelled, []
        self._operations = self._bytes = 0
        if not commit:
            return []
        for id in cancelled:
            effect = self.find(id)
            if effect is not None:
                effect.status = "cancelled"
        for effect in asked:
            before = self.find(effect.id)
            if before is None:
                self.committed.append(effect)
            elif before.status != "performed":
                # A replay does not perform again what was performed.
                self.committed[self.committed.index(before)] = effect
        return asked

    def find(self, id: str) -> Effect | None:
        return next((effect for effect in self.committed if effect.id == id), None)

    def ask(self, effect: Effect, most: int, most_bytes: int) -> str:
        mistake = _mistake(effect)
        if mistake is not None:
            raise Invalid(f"outbox: {mistake}")
        if not self.granted:
            wanted = (
                f"emit `{effect.kind}`" if effect.kind else f"http `{effect.method} {effect.url}`"
            )
            raise NotGranted(f"not granted: outbox.{wanted}")
        if self._bytes + effect.size > most_bytes:
            raise _quota()
        self._operation(most)
        self._bytes += effect.size
        effect.id = f"{self._delivery}.{len(self._asked)}"
        self._asked.append(effect)
        return effect.id

    def cancel(self, id: str, most: int) -> bool:
        delivery = id.rpartition(".")[0]
        if not delivery:
            raise Invalid(f"outbox: `{id}` is not an effect id")
        if delivery == self._delivery:
            raise Invalid(f"outbox: `{id}` is an effect of this very delivery")
        if delivery.rpartition(".")[2] != self._delivery.rpartition(".")[2]:
            raise Invalid(f"outbox: `{id}` is an effect of another plugin")
        self._operation(most)
        effect = self.find(id)
        if effect is None or effect.status != "waiting" or id in self._cancelled:
            return False
        self._cancelled.append(id)
        return True

    def _operation(self, most: int) -> None:
        if self._operations >= most:
            raise _quota()
        self._operations += 1


def _quota() -> LimitReached:
    return LimitReached("outbox: the delivery asks for more than the host allows")


def _mistake(effect: Effect) -> str | None:
    """What the real host would refuse, as far as it is easily got wrong."""
    if effect.kind is not None:
        if "*" in effect.kind or "" in effect.kind.split("."):
            return f"`{effect.kind}` is no event type such as `reminder.due`"
        return None
    method, url = effect.method or "", effect.url or ""
    if not method.isascii() or not method.isalpha() or not method.isupper():
        return f"`{method}` is no upper-case method such as `POST`"
    if not url.startswith(("https://", "http://")):
        return f"the URL `{url}` is not an absolute `https` URL"
    if "{{secret:" in url or b"{{secret:" in effect.body:
        return "a secret can stand in the value of a header alone"
    return None
