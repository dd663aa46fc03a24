package main

import (
	"strings"
	"testing"

	"signalbox.internal/signalbox/signalboxtest"
)

func TestChargesAreCountedPerCustomer(t *testing.T) {
	host := signalboxtest.New(t)
	for id, customer := range map[string]string{"ch_1": "cus_1", "ch_2": "cus_2", "ch_3": "cus_1"} {
		charge := map[string]any{"id": id, "customer": customer}
		host.Deliver(signalboxtest.Stripe("charge.succeeded", charge)).OK()
	}
	if got := host.Text("charges/cus_1"); got != "2" {
		t.Errorf("cus_1 has %q charges", got)
	}
}

func TestWhatIsNoChargeIsRejected(t *testing.T) {
	host := signalboxtest.New(t)
	run := host.Deliver(signalboxtest.Stripe("charge.succeeded", map[string]any{"id": 1}))
	if reason := run.Reject(); !strings.Contains(reason, "data.object of `charge.succeeded`") {
		t.Error(reason)
	}
}

func TestTheFixture(t *testing.T) {
	host := signalboxtest.New(t)
	run := host.Deliver(signalboxtest.Fixture(t, "fixtures/charge.succeeded.json")).OK()
	if !run.Logged("is number 1 of cus_fixture") {
		t.Error(run.Logs)
	}
}
