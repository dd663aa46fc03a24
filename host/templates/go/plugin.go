// {{name}} counts charges per customer.
package main

import (
	"cmp"
	"fmt"
	"log/slog"

	"signalbox.internal/signalbox"
	"signalbox.internal/signalbox/kv"
)

func init() {
	signalbox.Plugin("{{name}}", "0.1.0",
		signalbox.Description("Counts charges per customer"))
	signalbox.On("charge.succeeded", countCharge)
}

// main never runs: the host calls what init registered.
func main() {}

// countCharge runs for each event of its type. What it writes is committed with
// its success: an event counts once, however often it is attempted.
func countCharge(event *signalbox.Event) error {
	// The few fields of a Stripe charge that are needed here.
	var charge struct{ ID, Customer string }
	if err := event.Object(&charge); err != nil {
		return err
	}
	payer := cmp.Or(charge.Customer, "guest")
	count, err := kv.Add("charges/"+payer, 1)
	if err != nil {
		return err
	}
	slog.Info(fmt.Sprintf("charge %s is number %d of %s", charge.ID, count, payer), "customer", payer)
	return nil
}
