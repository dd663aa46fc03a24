"""The receivers, natively: neither WebAssembly nor a host is needed."""

import unittest
from pathlib import Path

import receivers  # noqa: F401 -- declares the plugin
from signalbox.testing import Host, fixture, stripe


class Counting(unittest.TestCase):
    def test_charges_are_counted_per_customer(self) -> None:
        host = Host()
        for id, customer in [("ch_1", "cus_1"), ("ch_2", "cus_2"), ("ch_3", "cus_1")]:
            charge = {"id": id, "customer": customer}
            host.deliver(stripe("charge.succeeded", charge)).expect_ok()
        self.assertEqual(host.get("charges/cus_1"), 2)

    def test_the_fixture(self) -> None:
        path = Path(__file__).parent / "fixtures/charge.succeeded.json"
        run = Host().deliver(fixture(path)).expect_ok()
        self.assertTrue(run.logged("is number 1 of cus_fixture"))

    def test_a_body_without_an_object_is_rejected(self) -> None:
        event = stripe("charge.succeeded", None)  # type: ignore[arg-type]
        self.assertIn("no object", Host().deliver(event).expect_reject())


if __name__ == "__main__":
    unittest.main()
