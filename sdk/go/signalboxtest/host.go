// Package signalboxtest runs a plugin's handlers under `go test`, without
// WebAssembly and without a host.
//
// A [Host] keeps a plugin's state in memory and treats it as the real one does:
// a failed run leaves no writes, the contract's limits hold. What it does not
// do: evaluate filters (it delivers as if they held), bound time and memory,
// and start from a fresh program (a package variable keeps its value).
//
//	func TestCharge(t *testing.T) {
//		host := signalboxtest.New(t)
//		host.Deliver(signalboxtest.Stripe("charge.succeeded", map[string]any{
//			"id": "ch_1", "customer": "cus_1",
//		})).OK()
//		if got := host.Text("customer/cus_1"); got != "1" {
//			t.Errorf("the customer has %s charges", got)
//		}
//	}
package signalboxtest

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"

	"signalbox.internal/signalbox/internal/host"
)

// Host is a host in memory for the plugin under test. It is the test's alone.
type Host struct {
	// Limits are those of the real host; a test may change them.
	Limits Limits

	t         testing.TB
	settings  map[string]string
	objects   map[[3]string]*host.Object
	committed map[string][]byte
	effects   []*Effect
	refuses   map[string]bool
	run       *running
}

// Limits is what one run may use.
type Limits struct {
	KVOperations, KVValue, KVWrites, KVQuota int
	ObjectReads, ObjectBytes                 int
	Effects, EffectBytes                     int
	LogRecords                               int
}

// New is an empty host, where everything is granted. It checks that what the
// plugin's init functions said is well-formed.
func New(t testing.TB) *Host {
	t.Helper()
	h := &Host{
		Limits: Limits{
			KVOperations: 1_000, KVValue: 256 << 10, KVWrites: 1 << 20, KVQuota: 64 << 20,
			ObjectReads: 100, ObjectBytes: 4 << 20,
			Effects: 100, EffectBytes: 1 << 20, LogRecords: 200,
		},
		t:         t,
		settings:  map[string]string{},
		objects:   map[[3]string]*host.Object{},
		committed: map[string][]byte{},
		refuses:   map[string]bool{},
	}
	return h
}

// name is the plugin's.
func (h *Host) name() string {
	h.t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			h.t.Fatal(cause)
		}
	}()
	return host.Plugin.Describe().Name
}

// Setting sets one of the operator's settings.
func (h *Host) Setting(key, value string) { h.settings[key] = value }

// Refuse takes back the grant of a capability, `outbox.http`, `outbox.emit` or
// `objects`: whatever needs it is refused.
func (h *Host) Refuse(capability string) { h.refuses[capability] = true }

// Object puts an object into the mirror, its body this value as JSON.
func (h *Host) Object(provider, kind, id string, body any) {
	h.t.Helper()
	h.putObject(provider, kind, id, body, false)
}

// DeletedObject puts an object into the mirror that is gone; body is its last
// state.
func (h *Host) DeletedObject(provider, kind, id string, body any) {
	h.t.Helper()
	h.putObject(provider, kind, id, body, true)
}

func (h *Host) putObject(provider, kind, id string, body any, deleted bool) {
	h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		h.t.Fatalf("the %s %s cannot be written as JSON: %v", kind, id, err)
	}
	h.objects[[3]string{provider, kind, id}] = &host.Object{
		ID: id, Kind: kind, EventID: "evt_test", Deleted: deleted, Body: text,
	}
}

// Set keeps text under a key, as if an earlier run had.
func (h *Host) Set(key, text string) { h.committed[key] = []byte(text) }

// Text is what is kept under a key; empty where nothing is.
func (h *Host) Text(key string) string { return string(h.committed[key]) }

// JSON reads what is kept under a key.
func (h *Host) JSON(key string, into any) {
	h.t.Helper()
	if err := json.Unmarshal(h.committed[key], into); err != nil {
		h.t.Fatalf("`%s` holds %q: %v", key, h.committed[key], err)
	}
}

// Has says whether something is kept under a key.
func (h *Host) Has(key string) bool { _, ok := h.committed[key]; return ok }

// Keys are all keys, in order.
func (h *Host) Keys() []string { return slices.Sorted(maps.Keys(h.committed)) }

// Deliver hands an event to the plugin, for the first time.
func (h *Host) Deliver(event Event) *Run {
	h.t.Helper()
	return h.DeliverAttempt(event, 1)
}

// DeliverAttempt hands an event to the plugin, as its attempt of this number.
func (h *Host) DeliverAttempt(event Event, attempt int) *Run {
	h.t.Helper()
	name := h.name()
	taken := slices.ContainsFunc(host.Plugin.Describe().Subscriptions, func(s host.Subscription) bool {
		return s.Provider == event.Provider && holds(s.Kind, event.Kind)
	})
	if !taken {
		return &Run{t: h.t, outcome: host.Outcome{End: host.NotSubscribed}}
	}
	delivery := host.Delivery{
		ID: event.Provider + "." + event.ID + "." + name, Attempt: uint32(attempt),
	}
	return h.deliver(delivery.ID, func() host.Outcome {
		return host.Plugin.Handle(event.raw(), delivery)
	})
}

// Run runs any code that calls signalbox, as a delivery of its own.
func (h *Host) Run(fn func() error) *Run {
	return h.deliver("stripe.evt_test."+h.name(), func() host.Outcome { return host.Plugin.Run(fn) })
}

// one delivery at a time, as in a component: the SDK's functions find the host
// by being called.
var one sync.Mutex

func (h *Host) deliver(delivery string, call func() host.Outcome) *Run {
	one.Lock()
	defer one.Unlock()
	h.run = &running{delivery: delivery, writes: map[string][]byte{}}
	before := host.Use(seam{h})
	defer host.Use(before)
	outcome := call()
	run := &Run{t: h.t, outcome: outcome, Logs: h.run.logs, LogsDropped: h.run.dropped}
	if outcome.End == host.OK {
		run.Effects = h.commit()
	}
	return run
}
