"""A day, its end, and what comes late."""

import unittest
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import receivers
from signalbox import Event
from signalbox.testing import Host, Run, stripe

URL = "https://hooks.slack.com/services/T0/B0/x"


def at(moment: str, kind: str, amount: int, **more: Any) -> Event:
    """An event that happens and arrives at this time."""
    when = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    charge = {"id": "ch_1", "currency": "usd", "amount": amount, **more.pop("charge", {})}
    return stripe(kind, charge, id=f"evt_{kind}_{amount}_{when}", created=when, **more)


class Digest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host(settings={"url": URL})

    def deliver(self, *events: Event) -> None:
        for event in events:
            self.host.deliver(event).expect_ok()

    def end_of_day(self) -> Run:
        [timer] = [effect for effect in self.host.waiting if effect.kind]
        return self.host.fire(timer).expect_ok()

    def test_a_day_in_one_message(self) -> None:
        self.deliver(
            at("2026-11-24T08:00:00", "charge.succeeded", 123_450),
            at("2026-11-24T09:00:00", "charge.succeeded", 50),
            at("2026-11-24T10:00:00", "charge.succeeded", 5000, charge={"currency": "jpy"}),
            at("2026-11-24T11:00:00", "charge.dispute.created", 999),
            at(
                "2026-11-24T12:00:00",
                "charge.refunded",
                900,
                charge={"amount_refunded": 700},
                previous_attributes={"amount_refunded": 200},
            ),
        )
        [message] = self.end_of_day().effects
        self.assertEqual(message.url, URL)
        self.assertEqual(
            message.json["text"].splitlines(),
            [
                "*Tuesday, 24 November 2026*",
                "paid: 5,000 JPY (1)",
                "paid: 1,235.00 USD (2)",
                "refunded: 5.00 USD (1)",
                "disputed: 9.99 USD (1)",
            ],
        )
        self.assertEqual(self.host.keys(), [])

    def test_the_timer_is_for_the_days_end_in_the_operators_zone(self) -> None:
        self.deliver(at("2026-11-24T20:00:00", "charge.succeeded", 1))
        self.assertEqual(self.host.waiting[0].delay, timedelta(hours=4) + receivers.GRACE)
        east = Host(settings={"url": URL, "utc_offset": "5.5"})
        east.deliver(at("2026-11-24T20:00:00", "charge.succeeded", 1)).expect_ok()
        self.assertEqual(east.keys(), ["day/2026-11-25"])
        self.assertEqual(east.waiting[0].delay, timedelta(hours=22.5) + receivers.GRACE)

    def test_what_comes_late_has_a_digest_of_its_own(self) -> None:
        first = at("2026-11-24T20:00:00", "charge.succeeded", 1)
        self.deliver(first)
        self.end_of_day()
        late = at("2026-11-24T21:00:00", "charge.succeeded", 2)
        self.deliver(replace(late, received_at_ms=late.received_at_ms + 36 * 3_600_000))
        self.assertEqual(self.host.waiting[-1].delay, receivers.SOON)
        [message] = self.end_of_day().effects
        self.assertIn("0.02 USD (1)", message.json["text"])

    def test_large_sums_are_exact(self) -> None:
        self.assertEqual(receivers.money(9007199254740993, "usd"), "90,071,992,547,409.93 USD")

    def test_the_day_is_kept_until_the_operator_says_where_to(self) -> None:
        self.host.settings.pop("url")
        self.deliver(at("2026-11-24T20:00:00", "charge.succeeded", 1))
        run = self.host.fire(self.host.waiting[0])
        self.assertEqual(run.expect_retry(), "the operator's setting `url` is missing")
        self.assertEqual(self.host.keys(), ["day/2026-11-24"])


if __name__ == "__main__":
    unittest.main()
