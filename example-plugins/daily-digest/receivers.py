"""Once a day, what was paid, refunded and disputed, in one message to a Slack channel.

The first event of a day sets a durable timer for the day's end; each event adds to the day's sums
in the transaction that says it was handled, so nothing is counted twice or left out.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from signalbox import Event, Reject, config, kv, log, outbox, plugin, receiver, timer

NAME = "daily-digest"

plugin(
    name=NAME,
    version="0.1.0",
    description="Once a day, what was paid, refunded and disputed, in one message",
    http=["POST https://hooks.slack.com/services/*"],
    emit=["digest.due"],
)

GRACE = timedelta(minutes=15)
"""Stripe's events arrive late at times; what comes later still has a digest of its own."""

SOON = timedelta(minutes=1)

NO_MINOR_UNIT = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"]
    + ["pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"]
)
"""Currencies in which Stripe's amounts are whole: https://docs.stripe.com/currencies#zero-decimal."""

Totals = dict[str, dict[str, list[int]]]
"""By what happened and by currency: how often, and how much."""


@receiver("charge.succeeded")
def paid(event: Event) -> None:
    add(event, "paid", event.object["amount"])


@receiver("charge.refunded")
def refunded(event: Event) -> None:
    # `amount_refunded` is the sum of all refunds of the charge: this one is what it grew by.
    before = (event.previous_attributes or {}).get("amount_refunded", 0)
    add(event, "refunded", event.object["amount_refunded"] - before)


@receiver("charge.dispute.created")
def disputed(event: Event) -> None:
    add(event, "disputed", event.object["amount"])


def add(event: Event, what: str, amount: int) -> None:
    """Add to the sums of the event's day."""
    zone = timezone(timedelta(hours=config.parse("utc_offset", float, 0.0)))
    day = event.occurred_at.astimezone(zone).date()
    key = f"day/{day}"
    totals: Totals | None = kv.get(key)
    if totals is None:
        totals = {}
        end = datetime.combine(day + timedelta(days=1), time(), zone) + GRACE
        wait = max(end - event.received_at, SOON)
        timer.set("digest.due", {"day": str(day)}, wait)
        log.info(f"the digest of {day} is due", at=(event.received_at + wait).astimezone(UTC))
    count_and_sum = totals.setdefault(what, {}).setdefault(event.object["currency"], [0, 0])
    count_and_sum[0] += 1
    count_and_sum[1] += amount
    kv.set(key, totals)


@receiver("digest.due", provider=NAME)
def due(event: Event) -> None:
    day = date.fromisoformat(event.json["day"])
    key = f"day/{day}"
    totals: Totals | None = kv.get(key)
    if totals is None:
        raise Reject(f"there is nothing to tell of {day}")
    text = "\n".join([f"*{day:%A, %d %B %Y}*", *lines(totals)])
    outbox.post(config.require("url"), json={"text": text})
    kv.delete(key)
    log.info(f"sent the digest of {day}")


def lines(totals: Totals) -> Iterable[str]:
    """One line for each currency of each thing that happened."""
    for what in ("paid", "refunded", "disputed"):
        for currency, (count, amount) in sorted(totals.get(what, {}).items()):
            yield f"{what}: {money(amount, currency)} ({count})"


def money(amount: Any, currency: str) -> str:
    """`1,234.50 USD`, exactly."""
    digits = 0 if currency in NO_MINOR_UNIT else 2
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency.upper()}"
