"""Effects on the world, performed by the host once the delivery has committed.

Nothing happens while a receiver runs, and nothing at all when it fails. Each call returns the
effect's identifier, which is also the `idempotency-key` that the host sends. Raises `NotGranted`,
`Invalid` and `LimitReached`.
"""

from __future__ import annotations

import json as _json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from ._failure import Invalid
from ._host import running

_ABSENT: Any = object()


class Options(TypedDict, total=False):
    """What `request` takes beside the method and the URL."""

    json: Any
    body: bytes | str
    headers: Mapping[str, str]
    secret_headers: Mapping[str, str]
    reply_as: str
    delay: timedelta


def request(
    method: str,
    url: str,
    *,
    json: Any = _ABSENT,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    secret_headers: Mapping[str, str] | None = None,
    reply_as: str | None = None,
    delay: timedelta | None = None,
) -> str:
    """Ask for an HTTP request. The host tries until it is answered 2xx, or gives it up.

    `secret_headers` hold `{{secret:NAME}}`: the host puts the operator's secret in its place as it
    sends. `reply_as` brings the answer back as an event of that type, whose provider is the plugin.
    """
    pairs = [(name.lower(), value) for name, value in (headers or {}).items()]
    for name, value in (secret_headers or {}).items():
        if "{{secret:" not in value:
            # Not shown: it may be a secret written out.
            raise Invalid(f"the value of `{name}` names no secret as {{{{secret:NAME}}}}")
        pairs.append((name.lower(), value))
    content_type = any(name == "content-type" for name, _ in pairs)
    if json is not _ABSENT:
        if body is not None:
            raise TypeError("give `json` or `body`, not both")
        body = dump(json)
        if not content_type:
            pairs.append(("content-type", "application/json"))
    elif isinstance(body, str) and not content_type:
        pairs.append(("content-type", "text/plain; charset=utf-8"))
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    return running().http(method, url, pairs, data, reply_as, milliseconds(delay))


def post(url: str, **options: Unpack[Options]) -> str:
    """A `POST`; see `request` for the options."""
    return request("POST", url, **options)


def put(url: str, **options: Unpack[Options]) -> str:
    """A `PUT`; see `request` for the options."""
    return request("PUT", url, **options)


def patch(url: str, **options: Unpack[Options]) -> str:
    """A `PATCH`; see `request` for the options."""
    return request("PATCH", url, **options)


def get(url: str, **options: Unpack[Options]) -> str:
    """A `GET`, of use with `reply_as` alone; see `request` for the options."""
    return request("GET", url, **options)


def delete(url: str, **options: Unpack[Options]) -> str:
    """A `DELETE`; see `request` for the options."""
    return request("DELETE", url, **options)


def emit(
    kind: str,
    data: Any = _ABSENT,
    *,
    body: bytes | str | None = None,
    content_type: str | None = None,
    delay: timedelta | None = None,
) -> str:
    """Emit an event of the plugin's own: `data` as JSON, or `body` as it is.

    Plugins take it with `@receiver(kind, provider="THIS-PLUGIN")`, this one included.
    """
    if (data is _ABSENT) == (body is None):
        raise TypeError("give an event `data` or a `body`: `None` and `b''` are fine")
    if body is None:
        return running().emit(
            kind, content_type or "application/json", dump(data), milliseconds(delay)
        )
    if isinstance(body, str):
        body, content_type = body.encode(), content_type or "text/plain; charset=utf-8"
    content_type = content_type or "application/octet-stream"
    return running().emit(kind, content_type, bytes(body), milliseconds(delay))


def cancel(effect: str) -> bool:
    """Withdraw what an earlier delivery asked for, once this one commits. `False`: it is too late."""
    return running().cancel(effect)


def dump(value: Any) -> bytes:
    """A value as JSON, as short as it goes."""
    return _json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def milliseconds(delay: timedelta | None) -> int | None:
    """A delay as the contract has it."""
    if delay is None:
        return None
    if delay < timedelta(0):
        raise Invalid("a delay cannot be negative")
    return delay // timedelta(milliseconds=1)
