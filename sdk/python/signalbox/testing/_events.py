"""Events for tests, read as the host reads them.

Not the host's own parser, which also verifies signatures and refuses more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .._event import Event


def event(body: str | bytes | dict[str, Any]) -> Event:
    """The event a Stripe webhook with this body becomes: the body is the whole envelope."""
    if isinstance(body, dict):
        body = json.dumps(body, ensure_ascii=False)
    data = body.encode() if isinstance(body, str) else body
    envelope = json.loads(data)
    created = envelope.get("created")
    request = envelope.get("request")
    facts = {
        "livemode": str(envelope["livemode"]).lower() if "livemode" in envelope else None,
        "account": envelope.get("account"),
        "api-version": envelope.get("api_version"),
        "request-id": request.get("id") if isinstance(request, dict) else request,
    }
    # Thin events carry RFC 3339 here; their time does not matter to a test.
    seconds = created if isinstance(created, int) else 0
    return Event(
        id=envelope["id"],
        provider="stripe",
        kind=envelope["type"],
        body=data,
        occurred_at_ms=seconds * 1000,
        received_at_ms=seconds * 1000,
        attributes={name: value for name, value in facts.items() if value is not None},
    )


def fixture(path: str | Path) -> Event:
    """The event of a file, e.g. one that `signalbox trigger TYPE --print` showed."""
    return event(Path(path).read_bytes())


def stripe(kind: str, object: dict[str, Any], id: str = "evt_test", **envelope: Any) -> Event:
    """A Stripe event of this type about this object, in test mode.

    `id` tells the effects of two deliveries apart; `account="acct_1"` and the like go into the
    envelope.
    """
    data: dict[str, Any] = {"object": object}
    if "previous_attributes" in envelope:
        data["previous_attributes"] = envelope.pop("previous_attributes")
    return event(
        {
            "id": id,
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": 1_795_400_000,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
            "data": data,
            **envelope,
        }
    )


def signalbox(kind: str, object: dict[str, Any]) -> Event:
    """An event of signalbox's own about this object, e.g. of the type `signalbox.delivery.dead`."""
    body = {"id": "evt_test", "object": "event", "type": kind, "data": {"object": object}}
    return raw("signalbox", "evt_test", kind, json.dumps(body).encode())


def raw(
    provider: str,
    id: str,
    kind: str,
    body: bytes,
    content_type: str = "application/json",
    attributes: dict[str, str] | None = None,
) -> Event:
    """An event of any provider, with any body."""
    return Event(id, provider, kind, body, content_type, attributes=attributes or {})
