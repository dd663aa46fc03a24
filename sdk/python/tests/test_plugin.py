"""What a receiver can be, which events it gets, and how its runs end."""

import logging
import unittest
from datetime import timedelta

from signalbox import Delivery, Event, Plugin, Reject, Retry, kv, log
from signalbox.testing import Host, event, raw, stripe


def plugin() -> Plugin:
    return Plugin("test-plugin", "0.1.0")


class Registering(unittest.TestCase):
    def test_types_come_one_by_one_or_as_djstripes_list(self) -> None:
        p = plugin()
        p.receiver("a.b", ["c.d", "e.*"])(lambda event: None)
        kinds = [s.kind for r in p.receivers for s in r.subscriptions]
        self.assertEqual(kinds, ["a.b", "c.d", "e.*"])
        for kind, taken in [("a.b", True), ("e.f.g", True), ("e", False), ("a.b.c", False)]:
            self.assertEqual(p.takes(stripe(kind, {})), taken, kind)
        self.assertFalse(p.takes(raw("github", "1", "a.b", b"{}")))

    def test_what_python_takes_silently_is_refused_at_once(self) -> None:
        async def later(event: Event) -> None: ...

        def generator(event: Event):  # type: ignore[no-untyped-def]
            yield

        def nothing() -> None: ...

        for function, part in [
            (later, "is `async`"),
            (generator, "`yield`"),
            (nothing, "no event"),
        ]:
            with self.assertRaisesRegex(TypeError, part):
                plugin().receiver("a")(function)  # type: ignore[type-var]
        with self.assertRaisesRegex(TypeError, "name the event types"):
            plugin().receiver(later)  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "stands alone"):
            plugin().receiver("a*")

    def test_the_delivery_is_given_to_who_asks_for_it(self) -> None:
        p, seen = plugin(), []

        @p.receiver("a")
        def plain(event: Event) -> None:
            seen.append(event.kind)

        @p.receiver("a")
        def both(event: Event, delivery: Delivery) -> None:
            seen.append((delivery.id, delivery.attempt, delivery.replay))

        @p.receiver("a")
        def djstripe(event: Event, **kwargs: object) -> None:
            seen.append(len(kwargs))

        Host(p).deliver(stripe("a", {}, id="evt_1"), attempt=3, replay=True).expect_ok()
        self.assertEqual(seen, ["a", ("stripe.evt_1.test-plugin", 3, True), 0])

    def test_a_component_is_whole_or_not_built(self) -> None:
        with self.assertRaisesRegex(ValueError, "says what this plugin is"):
            Plugin().check()
        with self.assertRaisesRegex(ValueError, "has no `@receiver`"):
            plugin().check()


class Ending(unittest.TestCase):
    def end(self, function):  # type: ignore[no-untyped-def]
        p = plugin()
        p.receiver("a")(function)
        return Host(p).deliver(stripe("a", {}))

    def test_retry_and_reject(self) -> None:
        def later(event: Event) -> None:
            raise Retry("not yet", after=timedelta(hours=1))

        def never(event: Event) -> None:
            raise Reject("no")

        run = self.end(later)
        self.assertEqual(run.expect_retry(), "not yet")
        self.assertEqual(run.failure.after, timedelta(hours=1))
        self.assertEqual(self.end(never).expect_reject(), "no")
        with self.assertRaisesRegex(AssertionError, "ended in Reject: no"):
            self.end(never).expect_ok()

    def test_an_uncaught_exception_is_a_retry_with_its_traceback_in_the_log(self) -> None:
        def fails(event: Event) -> None:
            raise RuntimeError("boom 雪")

        run = self.end(fails)
        self.assertEqual(run.expect_retry(), "RuntimeError: boom 雪")
        [record] = run.logs
        self.assertEqual(
            (record.level, record.attributes), ("error", {"exception": "RuntimeError"})
        )
        self.assertIn("in fails", record.message)
        self.assertNotIn("signalbox/_plugin", record.message, "the SDK's own frames are left out")

    def test_leaving_the_process_is_an_error_too(self) -> None:
        def leaves(event: Event) -> None:
            raise SystemExit(0)

        self.assertEqual(self.end(leaves).expect_retry(), "SystemExit: 0")

    def test_a_module_that_is_missing_says_what_to_do(self) -> None:
        def late(event: Event) -> None:
            import no_such_module  # type: ignore[import-not-found]  # noqa: F401

        self.assertTrue(self.end(late).logged("import this one at the top"))

    def test_anything_returned_is_refused(self) -> None:
        async def coroutine() -> None: ...

        for answer in [lambda: Reject("returned"), lambda: False, lambda: 0, coroutine]:
            run = self.end(lambda event, /, answer=answer: answer())
            self.assertIn("Raise `Retry(...)` or `Reject(...)`", run.expect_reject())

    def test_the_first_failure_ends_the_run_and_undoes_it(self) -> None:
        p = plugin()

        @p.receiver("a")
        def first(event: Event) -> None:
            kv.set("first", 1)
            log.info("kept", n=1)

        @p.receiver("a")
        def second(event: Event) -> None:
            raise Reject("no")

        @p.receiver("a")
        def third(event: Event) -> None:
            raise AssertionError("never run")

        host = Host(p)
        run = host.deliver(stripe("a", {}))
        self.assertEqual(run.expect_reject(), "no")
        self.assertEqual(host.keys(), [])
        self.assertEqual(run.logs[0].attributes, {"n": "1"})

    def test_the_standard_logging_module_leads_to_the_log(self) -> None:
        def logs(event: Event) -> None:
            logging.getLogger("my.part").warning("of %s", "it", extra={"charge": "ch_1"})
            logging.info("plain")  # noqa: LOG015
            logging.debug("not shown")  # noqa: LOG015

        run = self.end(logs)
        self.assertEqual(
            [(r.level, r.message) for r in run.logs], [("warn", "of it"), ("info", "plain")]
        )
        self.assertEqual(run.logs[0].attributes, {"logger": "my.part", "charge": "ch_1"})


class Reading(unittest.TestCase):
    def test_whole_numbers_are_exact(self) -> None:
        self.assertEqual(
            stripe("a", {"amount": 9007199254740993}).object["amount"], 9007199254740993
        )

    def test_the_parts_of_an_event(self) -> None:
        e = stripe("a", {"id": "x"}, account="acct_1", livemode=True, previous_attributes={"y": 1})
        self.assertEqual((e.type, e.account, e.livemode), ("a", "acct_1", True))
        self.assertEqual((e.object, e.previous_attributes), ({"id": "x"}, {"y": 1}))
        self.assertEqual(e.occurred_at.isoformat(), "2026-11-23T02:13:20+00:00")
        self.assertIsNone(e.reply)
        self.assertIsNone(stripe("a", {}).previous_attributes)

    def test_a_body_of_another_shape_is_rejected_by_itself(self) -> None:
        thin = event({"id": "evt_1", "type": "a", "object": "v2.core.event"})
        for bad in [thin, raw("stripe", "1", "a", b"{"), raw("stripe", "1", "a", b'{"data": []}')]:
            p = plugin()
            p.receiver("a")(lambda event: event.object["id"])
            self.assertRegex(Host(p).deliver(bad).expect_reject(), "the body of `a`")


if __name__ == "__main__":
    unittest.main()
