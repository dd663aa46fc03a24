// Watches for customers who are refunded often, and tells a person once.
//
// The refunds of the last days are kept per customer. The refund that makes them
// too many is reported in the same transaction that remembers it, so there is one
// report for it however often the event comes.
package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"signalbox.internal/signalbox"
	"signalbox.internal/signalbox/config"
	"signalbox.internal/signalbox/kv"
	"signalbox.internal/signalbox/outbox"
)

func init() {
	signalbox.Plugin("refund-watch", "0.1.0",
		signalbox.Description("Tells a person of customers who are refunded often"),
		signalbox.NeedsHTTP("POST https://tickets.example.com/api/tickets"),
		signalbox.NeedsSecret("TICKETS_TOKEN"),
		signalbox.LimitCPU(200*time.Millisecond),
		signalbox.LimitMemory("32MiB"),
	)
	signalbox.On("charge.refunded", refunded)
}

func main() {}

// refund is what is remembered of one, newest last.
type refund struct {
	Charge string    `json:"charge"`
	At     time.Time `json:"at"`
}

func refunded(event *signalbox.Event) error {
	var charge struct {
		ID             string
		Customer       string
		AmountRefunded int64 `json:"amount_refunded"`
		Currency       string
	}
	if err := event.Object(&charge); err != nil {
		return err
	}
	if charge.Customer == "" {
		return nil // Nobody to watch.
	}
	most, err := number("most", 3)
	if err != nil {
		return err
	}
	days, err := number("days", 30)
	if err != nil {
		return err
	}

	key := "refunds/" + charge.Customer
	var refunds []refund
	if _, err := kv.JSON(key, &refunds); err != nil {
		return err
	}
	// A charge that is refunded in parts is one.
	refunds = slices.DeleteFunc(refunds, func(r refund) bool {
		return r.Charge == charge.ID || r.At.Before(event.OccurredAt.AddDate(0, 0, -days))
	})
	before := len(refunds)
	refunds = append(refunds, refund{charge.ID, event.OccurredAt})
	if err := kv.SetJSON(key, refunds); err != nil {
		return err
	}
	slog.Info("refunded", "customer", charge.Customer, "charge", charge.ID, "refunds", len(refunds))
	if before != most {
		return nil
	}
	_, err = outbox.Post("https://tickets.example.com/api/tickets").
		Header("authorization", "Bearer {{secret:TICKETS_TOKEN}}").
		JSON(map[string]string{
			"title": fmt.Sprintf("%s was refunded %d times in %d days", charge.Customer, before+1, days),
			"text":  fmt.Sprintf("The last: %d %s of %s.", charge.AmountRefunded, charge.Currency, charge.ID),
		}).Send()
	return err
}

// number is one of the operator's settings.
func number(key string, otherwise int) (int, error) {
	text, ok := config.Get(key)
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("the setting `%s` is %q: make it a number of 1 or more", key, text)
	}
	return n, nil
}
