"""What a receiver asks of the host: state, settings, objects, effects, timers."""

import unittest
from datetime import timedelta

from signalbox import (
    BadSetting,
    BadValue,
    Event,
    Invalid,
    LimitReached,
    NotGranted,
    Plugin,
    Reject,
    config,
    kv,
    objects,
    outbox,
    timer,
)
from signalbox.testing import Host, Limits, Run, stripe


def host(**options):  # type: ignore[no-untyped-def]
    return Host(Plugin("test-plugin", "0.1.0"), **options)


class State(unittest.TestCase):
    def test_text_json_bytes(self) -> None:
        h = host()

        def f() -> None:
            kv.set("json", {"n": 9007199254740993, "s": "雪"})
            kv.set_text("text", "雪")
            kv.set_bytes("bytes", b"\xff")
            self.assertEqual(kv.get("json"), {"n": 9007199254740993, "s": "雪"})
            self.assertEqual((kv.get_text("text"), kv.get_bytes("bytes")), ("雪", b"\xff"))
            self.assertEqual((kv.get("none"), kv.get("none", 5)), (None, 5))
            self.assertEqual((kv.get_text("none"), kv.get_bytes("none")), (None, None))
            for read in [lambda: kv.get("text"), lambda: kv.get_text("bytes")]:
                self.assertRaises(BadValue, read)

        h.run(f).expect_ok()
        self.assertEqual(h.get_text("json"), '{"n":9007199254740993,"s":"雪"}')

    def test_keys_come_in_order_over_pages_and_see_the_runs_own_writes(self) -> None:
        h = host()
        for n in range(40):
            h.set(f"a/{n:02}", n)
        h.set("b", 1)

        def f() -> None:
            kv.delete("a/05")
            kv.set("a/99", 1)
            found = list(kv.keys("a/"))
            self.assertEqual(found, [f"a/{n:02}" for n in range(40) if n != 5] + ["a/99"])

        h.run(f).expect_ok()

    def test_counters_stay_in_64_bits(self) -> None:
        h = host()
        h.run(lambda: self.assertEqual(kv.counter("c").add(), 1)).expect_ok()
        h.run(lambda: self.assertEqual(kv.counter("c").add(-3), -2)).expect_ok()
        h.set("c", (1 << 63) - 1)
        self.assertIn("full", h.run(lambda: kv.counter("c").add()).expect_retry())

    def test_limits(self) -> None:
        h = host(limits=Limits(kv_operations=2, kv_value=4, kv_writes=1000, kv_quota=10))
        cases = [
            (lambda: kv.get(""), "longer than 512"),
            (lambda: kv.get("雪" * 200), "longer than 512"),
            (lambda: kv.set_bytes("k", b"12345"), "value is larger"),
            (lambda: [kv.get("k") for _ in range(3)], "reads or writes more"),
            (lambda: [kv.set_bytes(k, b"1234") for k in ("ab", "cd")], "as the operator granted"),
        ]
        for call, text in cases:
            self.assertIn(text, h.run(call).expect_retry())
        self.assertEqual(h.keys(), [])


class Settings(unittest.TestCase):
    def test_settings(self) -> None:
        h = host(settings={"b": "x", "a": "1"})

        def f() -> None:
            self.assertEqual(
                (config.get("a"), config.get("c"), config.get("c", "d")), ("1", None, "d")
            )
            self.assertEqual((config.parse("a", int), config.parse("c", int, 7)), (1, 7))
            self.assertEqual(list(config.all()), ["a", "b"])
            self.assertRaisesRegex(BadSetting, "`b` cannot be used", config.parse, "b", int)
            config.require("c")

        self.assertEqual(h.run(f).expect_retry(), "the operator's setting `c` is missing")


class Objects(unittest.TestCase):
    def test_the_mirror(self) -> None:
        h = host()
        h.put_object("customer", {"id": "cus_1", "name": "Jenny"}, deleted=True)

        def f() -> None:
            customer = objects.get("customer", "cus_1")
            assert customer is not None
            self.assertEqual((customer.data["name"], customer.deleted), ("Jenny", True))
            self.assertIsNone(objects.get("customer", "cus_2"))

        h.run(f).expect_ok()
        refused = host(granted=False).run(lambda: objects.get("customer", "cus_1"))
        self.assertEqual(refused.expect_retry(), "not granted: objects `stripe customer`")


class Effects(unittest.TestCase):
    def setUp(self) -> None:
        self.plugin = p = Plugin("test-plugin", "0.1.0")

        @p.receiver("ask")
        def ask(event: Event) -> None:
            outbox.post(
                "https://api.example.com/letters",
                json={"to": "雪"},
                secret_headers={"Authorization": "Bearer {{secret:KEY}}"},
                reply_as="letter.answered",
            )
            kv.set("timer", timer.set("later", {"n": 1}, timedelta(days=3)))

        @p.receiver("letter.answered", provider="test-plugin")
        def answered(event: Event) -> None:
            reply = event.reply
            assert reply is not None
            kv.set("reply", [reply.status, reply.ok, reply.headers.get("x-id"), reply.json()])

        @p.receiver("later", provider="test-plugin")
        def later(event: Event) -> None:
            kv.set("later", event.json["n"])

        @p.receiver("cancel")
        def cancel(event: Event) -> None:
            kv.set("cancelled", timer.cancel(kv.get("timer")))

        self.host = Host(p)

    def ask(self) -> Run:
        return self.host.deliver(stripe("ask", {}, id="evt_1")).expect_ok()

    def test_a_request_and_its_answer(self) -> None:
        request, _ = self.ask().effects
        self.assertEqual(request.id, "stripe.evt_1.test-plugin.0")
        self.assertEqual((request.method, request.json), ("POST", {"to": "雪"}))
        self.assertEqual(
            request.headers,
            {"authorization": "Bearer {{secret:KEY}}", "content-type": "application/json"},
        )
        self.host.reply(request, 201, '{"id": 7}', {"X-Id": "l1"}).expect_ok()
        self.assertEqual(self.host.get("reply"), [201, True, "l1", {"id": 7}])

    def test_a_timer_fires_once(self) -> None:
        _, due = self.ask().effects
        self.assertEqual(due.delay, timedelta(days=3))
        self.host.fire(due).expect_ok()
        self.assertEqual(self.host.get("later"), 1)
        self.assertRaisesRegex(AssertionError, "performed", self.host.fire, due)
        self.host.deliver(stripe("cancel", {}, id="evt_2")).expect_ok()
        self.assertIs(self.host.get("cancelled"), False)

    def test_a_timer_is_withdrawn(self) -> None:
        self.ask()
        self.host.deliver(stripe("cancel", {}, id="evt_2")).expect_ok()
        self.assertIs(self.host.get("cancelled"), True)
        self.assertEqual([effect.kind for effect in self.host.waiting], [None])

    def test_a_failed_run_asks_for_nothing(self) -> None:
        def f() -> None:
            outbox.emit("a", None)
            raise Reject("no")

        run = self.host.run(f)
        self.assertEqual((run.expect_reject(), run.effects, self.host.effects), ("no", [], []))

    def test_what_is_refused(self) -> None:
        cases = [
            (lambda: outbox.request("post", "https://a"), Invalid),
            (lambda: outbox.post("a"), Invalid),
            (lambda: outbox.post("https://a", body="{{secret:X}}"), Invalid),
            (lambda: outbox.post("https://a", secret_headers={"a": "written out"}), Invalid),
            (lambda: outbox.emit("a.*", 1), Invalid),
            (lambda: outbox.emit("a", 1, delay=timedelta(-1)), Invalid),
            (lambda: outbox.emit("a"), TypeError),
            (lambda: outbox.post("https://a", json=1, body="1"), TypeError),
            (lambda: outbox.cancel("stripe.evt_1.other.0"), Invalid),
            (lambda: outbox.cancel("stripe.evt_test.test-plugin.0"), Invalid),
            (lambda: [outbox.emit("a", 1) for _ in range(101)], LimitReached),
            (lambda: outbox.emit("a", "x" * (1 << 20)), LimitReached),
        ]
        for call, error in cases:
            self.host.run(lambda call=call, error=error: self.assertRaises(error, call)).expect_ok()
        poor = Host(self.plugin, granted=False)
        poor.run(lambda: self.assertRaises(NotGranted, outbox.emit, "a", 1)).expect_ok()

    def test_a_secret_written_out_is_not_told(self) -> None:
        run = self.host.run(lambda: outbox.post("https://a", secret_headers={"a": "sk_live_1"}))
        self.assertNotIn("sk_live_1", run.expect_retry())


class NoHost(unittest.TestCase):
    def test_a_call_outside_a_run_says_where_runs_are(self) -> None:
        self.assertRaisesRegex(RuntimeError, "while a module loads", kv.get, "a")


if __name__ == "__main__":
    unittest.main()
