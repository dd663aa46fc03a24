// Package signalbox is for writing plugins of signalbox in Go: functions on
// webhooks, run in a sandbox, whose work is committed once or not at all.
//
//	func init() {
//		signalbox.Plugin("charge-counter", "0.1.0")
//		signalbox.On("charge.succeeded", countCharge)
//	}
//
//	func countCharge(event *signalbox.Event) error {
//		var charge struct {
//			ID       string
//			Customer string
//		}
//		if err := event.Object(&charge); err != nil {
//			return err
//		}
//		count, err := kv.Add("customer/"+charge.Customer, 1)
//		if err != nil {
//			return err
//		}
//		slog.Info("a charge", "id", charge.ID, "count", count)
//		return nil
//	}
//
//	func main() {} // never runs; Go wants it
//
// The state is in package kv, effects on the world in package outbox, the
// provider's objects in package objects, the operator's settings in package
// config, and tests in package signalboxtest.
package signalbox

import (
	"fmt"
	"strings"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// Handler does something about an event. When it returns nil, everything it
// wrote and asked for becomes durable together with the fact that the event was
// handled; when it returns an error or panics, nothing of it does.
//
// An error asks for another attempt, unless it is, or wraps, one of [Reject].
type Handler func(event *Event) error

// Plugin says what this program is. The name is lower-case kebab-case; it names
// the plugin's data and settings, so it stays the same between versions. Call
// it once, in init.
func Plugin(name, version string, facts ...Fact) {
	if own.name != "" {
		own.wrong("Plugin was called twice: with `%s` and with `%s`", own.name, name)
	}
	own.name, own.version = name, version
	for _, fact := range facts {
		fact(own)
	}
}

// On has fn called with events of a type: `charge.succeeded`; all below it,
// `customer.subscription.*`; or all, `*`. They are Stripe's unless [From] says
// otherwise. Handlers of one event run in the order of their registration, and
// the first error ends the run. Call it in init.
func On(kind string, fn Handler, choices ...Choice) {
	receiver := receiver{Subscription: host.Subscription{Provider: "stripe", Kind: kind}, fn: fn}
	for _, choice := range choices {
		choice(&receiver)
	}
	if strings.Contains(strings.TrimSuffix(kind, "*"), "*") || kind == "" ||
		strings.HasSuffix(kind, "*") && kind != "*" && !strings.HasSuffix(kind, ".*") {
		own.wrong("`%s` is no event type: write `invoice.paid`, `invoice.*` or `*`", kind)
	}
	for _, other := range own.receivers {
		if other.Provider == receiver.Provider && other.Filter != receiver.Filter &&
			overlap(other.Kind, receiver.Kind) {
			own.wrong("`%s` and `%s` have events in common and different filters. The host "+
				"applies filters before it starts the plugin, once for all its handlers: give "+
				"both the same filter, or make two plugins of them", other.Kind, kind)
		}
	}
	own.receivers = append(own.receivers, receiver)
}

// Choice narrows which events [On] takes.
type Choice func(*receiver)

// From takes another provider's events: `github`; a plugin's, which may be this
// one, by its name; or `signalbox` for what happens in the host itself.
func From(provider string) Choice {
	return func(r *receiver) { r.Provider = provider }
}

// Filter takes those events for which the CEL expression holds:
// `event.data.object.amount > 100000`. The host evaluates it without starting
// the plugin.
func Filter(expression string) Choice {
	return func(r *receiver) { r.Subscription.Filter = expression }
}

// Fact is something more that the operator is told of the plugin.
type Fact func(*plugin)

// Description says in a line what the plugin is for.
func Description(text string) Fact { return attribute("description", text) }

// Unordered lets deliveries that concern the same object run side by side. By
// default they run one after another, in the order of acceptance.
func Unordered() Fact { return attribute("ordering", "none") }

// Concurrency bounds how many deliveries run at a time.
func Concurrency(most int) Fact { return attribute("concurrency", fmt.Sprint(most)) }

// LimitCPU bounds the processor time of a delivery.
func LimitCPU(most time.Duration) Fact {
	return attribute("limit-cpu", fmt.Sprintf("%dms", most.Milliseconds()))
}

// LimitWall bounds the time of a delivery by the clock.
func LimitWall(most time.Duration) Fact {
	return attribute("limit-wall", fmt.Sprintf("%dms", most.Milliseconds()))
}

// LimitMemory bounds a delivery's memory: `32MiB`. A Go program needs 8 MiB.
func LimitMemory(most string) Fact { return attribute("limit-memory", most) }

// NeedsHTTP asks the operator to grant requests: `POST https://api.example.com/*`.
func NeedsHTTP(scope string) Fact { return request("outbox.http", scope) }

// NeedsEmit asks the operator to grant events of the plugin's own: `reminder.*`.
func NeedsEmit(scope string) Fact { return request("outbox.emit", scope) }

// NeedsObjects asks the operator to grant the mirror's objects: `stripe customer`.
func NeedsObjects(scope string) Fact { return request("objects", scope) }

// NeedsSecret asks the operator for a secret, the NAME in `{{secret:NAME}}`.
func NeedsSecret(name string) Fact { return request("secret", name) }

func attribute(name, value string) Fact {
	return func(p *plugin) { p.attributes = append(p.attributes, host.Attribute{Name: name, Value: value}) }
}

func request(capability, scope string) Fact {
	return func(p *plugin) {
		p.requests = append(p.requests, host.Attribute{Name: capability, Value: scope})
	}
}
