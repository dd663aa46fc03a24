package signalboxtest

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"signalbox.internal/signalbox/internal/host"
)

// Event is an event to deliver; a test may change any of it.
type Event struct {
	ID, Provider, Kind string
	ContentType        string
	Body               []byte
	// Attributes are the provider's facts.
	Attributes map[string]string
	// Created is the moment it occurred and was received, in seconds since
	// 1970.
	Created int64
}

// Stripe is Stripe's event of this type, about this object.
func Stripe(kind string, object any) Event { return StripeAs("evt_test", kind, object) }

// StripeAs is [Stripe] with an identifier.
func StripeAs(id, kind string, object any) Event {
	body, err := json.Marshal(map[string]any{
		"id": id, "object": "event", "type": kind, "api_version": "2026-10-28.endive",
		"created": 1_795_400_000, "livemode": false, "pending_webhooks": 1,
		"request": map[string]any{"id": nil, "idempotency_key": nil},
		"data":    map[string]any{"object": object},
	})
	if err != nil {
		panic(fmt.Sprintf("the object of `%s` cannot be written as JSON: %v", kind, err))
	}
	event, err := FromJSON(body)
	if err != nil {
		panic(err)
	}
	return event
}

// Fixture is Stripe's event as a file holds it.
func Fixture(t testing.TB, path string) Event {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	event, err := FromJSON(body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return event
}

// FromJSON is Stripe's event with these very bytes as its body.
func FromJSON(body []byte) (Event, error) {
	var envelope struct {
		ID, Type, Account string
		APIVersion        string `json:"api_version"`
		Created           int64
		Livemode          bool
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return Event{}, fmt.Errorf("it is no event: %w", err)
	}
	if envelope.ID == "" || envelope.Type == "" {
		return Event{}, fmt.Errorf("it is no event: it has no `id` or no `type`")
	}
	event := Event{
		ID: envelope.ID, Provider: "stripe", Kind: envelope.Type, ContentType: "application/json",
		Body: body, Created: envelope.Created,
		Attributes: map[string]string{"livemode": strconv.FormatBool(envelope.Livemode)},
	}
	if envelope.Account != "" {
		event.Attributes["account"] = envelope.Account
	}
	if envelope.APIVersion != "" {
		event.Attributes["api-version"] = envelope.APIVersion
	}
	return event, nil
}

func (e Event) raw() host.Event {
	raw := host.Event{
		ID: e.ID, Provider: e.Provider, Kind: e.Kind, ContentType: e.ContentType, Body: e.Body,
		OccurredAt: uint64(e.Created) * 1000, ReceivedAt: uint64(e.Created) * 1000,
	}
	for name, value := range e.Attributes {
		raw.Attributes = append(raw.Attributes, host.Attribute{Name: name, Value: value})
	}
	return raw
}

// holds is the contract's `handler.subscription.kind`.
func holds(pattern, kind string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(kind) > len(prefix) && strings.HasPrefix(kind, prefix)
	}
	return pattern == kind
}
