package main

import (
	"fmt"
	"strings"
	"testing"

	"signalbox.internal/signalbox/signalboxtest"
)

const day = 86_400

// refundOf is the event of a refund on that day.
func refundOf(charge string, onDay int64) signalboxtest.Event {
	event := signalboxtest.StripeAs("evt_"+charge, "charge.refunded", map[string]any{
		"id": charge, "customer": "cus_1", "amount_refunded": 500, "currency": "eur",
	})
	event.Created += onDay * day
	return event
}

func TestTheRefundThatMakesThemTooManyIsReportedOnce(t *testing.T) {
	host := signalboxtest.New(t)
	for n := range int64(6) {
		run := host.Deliver(refundOf(fmt.Sprintf("ch_%d", n), n)).OK()
		if reported := len(run.Effects) == 1; reported != (n == 3) {
			t.Errorf("refund %d: %+v", n, run.Effects)
		}
	}
	report := host.Effects()[0]
	var body struct{ Title string }
	if err := report.JSON(&body); err != nil || body.Title != "cus_1 was refunded 4 times in 30 days" {
		t.Error(body, err)
	}
	if report.Headers["authorization"] != "Bearer {{secret:TICKETS_TOKEN}}" {
		t.Error(report.Headers)
	}
}

func TestOldRefundsAndPartsOfOneDoNotCount(t *testing.T) {
	host := signalboxtest.New(t)
	host.Setting("most", "1")
	host.Deliver(refundOf("ch_1", 0)).OK()
	host.Deliver(refundOf("ch_1", 1)).OK()
	host.Deliver(refundOf("ch_2", 40)).OK()
	if len(host.Effects()) != 0 {
		t.Error(host.Effects()[0])
	}
	host.Deliver(refundOf("ch_3", 41)).OK()
	if len(host.Effects()) != 1 {
		t.Error("the second refund within 30 days is one too many")
	}
}

func TestASettingThatIsNoNumberIsTold(t *testing.T) {
	host := signalboxtest.New(t)
	host.Setting("days", "many")
	if reason, _ := host.Deliver(refundOf("ch_1", 0)).Retry(); !strings.Contains(reason, "`days` is \"many\"") {
		t.Error(reason)
	}
	if host.Has("refunds/cus_1") {
		t.Error("a failed run left something")
	}
}
