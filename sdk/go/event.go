package signalbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// Event is one webhook, its signature verified, or an event made by the host:
// emitted by a plugin, the answer to a request, or of the host itself.
type Event struct {
	// ID is the provider's own, `evt_1Nx…`.
	ID string
	// Provider sent it: `stripe`; a plugin's name or `signalbox` for one made
	// by the host.
	Provider string
	// Kind is the provider's event type, `invoice.paid`.
	Kind string
	// OccurredAt is when the provider says it happened. Events may arrive out
	// of order.
	OccurredAt time.Time
	// ReceivedAt is when signalbox accepted it. It is the same at every
	// attempt, which makes it the clock to use.
	ReceivedAt time.Time
	// ContentType is the media type of the body.
	ContentType string
	// Body is the very bytes that the signature covers.
	Body []byte
	// Delivery is this attempt at handing it to this plugin.
	Delivery Delivery

	attributes []host.Attribute
}

// Delivery is one attempt.
type Delivery struct {
	// ID is the same at every attempt.
	ID string
	// Attempt is 1 for the first.
	Attempt int
	// Replay is true when an operator had the event delivered again.
	Replay bool
}

func newEvent(raw host.Event, delivery host.Delivery) *Event {
	return &Event{
		ID: raw.ID, Provider: raw.Provider, Kind: raw.Kind,
		OccurredAt: host.Time(raw.OccurredAt), ReceivedAt: host.Time(raw.ReceivedAt),
		ContentType: raw.ContentType, Body: raw.Body, attributes: raw.Attributes,
		Delivery: Delivery{ID: delivery.ID, Attempt: int(delivery.Attempt), Replay: delivery.Replay},
	}
}

// Attribute is a fact that not every provider has: of Stripe `account`,
// `api-version`, `livemode` and `request-id`. It is empty where there is none.
func (e *Event) Attribute(name string) string {
	for _, a := range e.attributes {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// Account is the connected account that the event is of, empty for the
// endpoint's own.
func (e *Event) Account() string { return e.Attribute("account") }

// Livemode is false for events of Stripe's test mode.
func (e *Event) Livemode() bool { return e.Attribute("livemode") == "true" }

// Object reads the object that the event is about, `data.object` of a Stripe
// event, as [encoding/json] does: a struct needs just the fields that are of
// interest. Numbers are exact: into `any` they come as [json.Number].
//
// Its error rejects the event: it is not what the plugin understands.
func (e *Event) Object(into any) error {
	return e.inData("object", into)
}

// PreviousAttributes reads what changed, `data.previous_attributes` of a Stripe
// event, like [Event.Object].
func (e *Event) PreviousAttributes(into any) error {
	return e.inData("previous_attributes", into)
}

// Parse reads the whole body, like [Event.Object].
func (e *Event) Parse(into any) error {
	return e.read("the event", e.Body, into)
}

func (e *Event) inData(field string, into any) error {
	var body struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := e.read("the event", e.Body, &body); err != nil {
		return err
	}
	raw, ok := body.Data[field]
	if !ok {
		return Rejectf("`%s` %s has no data.%s", e.Kind, e.ID, field)
	}
	return e.read("data."+field, raw, into)
}

func (e *Event) read(what string, text []byte, into any) error {
	if err := unmarshal(text, into); err != nil {
		return Rejectf("%s of `%s` %s is no %T: %w", what, e.Kind, e.ID, into, err)
	}
	return nil
}

// unmarshal is json.Unmarshal with exact numbers.
func unmarshal(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("there is something after the JSON")
	}
	return nil
}

// Reply is the answer to a request of the outbox's.
type Reply struct {
	// Status of the answer; 0 when the host gave the request up, and the body
	// says why.
	Status int
	// Effect that was answered: what Send returned.
	Effect string
	// Headers by their names in lower case.
	Headers map[string]string
	// Body is what came.
	Body []byte
}

// OK says whether the receiver took the request.
func (r Reply) OK() bool { return r.Status >= 200 && r.Status < 300 }

// Reply is the answer that this event brings, and whether it brings one.
func (e *Event) Reply() (Reply, bool) {
	status, err := strconv.Atoi(e.Attribute("status"))
	effect := e.Attribute("effect-id")
	if err != nil || effect == "" {
		return Reply{}, false
	}
	reply := Reply{Status: status, Effect: effect, Headers: map[string]string{}, Body: e.Body}
	for _, a := range e.attributes {
		if name, ok := strings.CutPrefix(a.Name, "header-"); ok && reply.Headers[name] == "" {
			reply.Headers[name] = a.Value
		}
	}
	return reply, true
}
