// Package objects reads the host's mirror of the provider's objects, as far as
// its events have shown them. Every kind needs a grant of the operator's:
// say so with signalbox.NeedsObjects("stripe customer").
package objects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// Why a read was refused.
var (
	ErrNotGranted = host.ErrObjectNotGranted
	ErrOperations = host.ErrObjectOperations
)

// Object is the newest state the host has seen of one object. It does not
// change during a delivery.
type Object struct {
	ID, Kind string
	// AsOf is when the event occurred that this state came from.
	AsOf time.Time
	// EventID is that event's, empty for a state fetched from the provider.
	EventID string
	// Deleted is true once the provider said so; the body is then the last
	// state before that.
	Deleted bool
	// Body is the object as the provider sent it.
	Body []byte
}

// Get is Stripe's object, nil when no accepted event has shown it.
func Get(kind, id string) (*Object, error) { return GetOf("stripe", kind, id) }

// GetOf is any provider's object, like [Get].
func GetOf(provider, kind, id string) (*Object, error) {
	found, err := host.Current().Object(provider, kind, id)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	if found == nil {
		return nil, nil
	}
	return &Object{
		ID: found.ID, Kind: found.Kind, AsOf: host.Time(found.AsOf),
		EventID: found.EventID, Deleted: found.Deleted, Body: found.Body,
	}, nil
}

// Parse reads the body as [encoding/json] does, with exact numbers.
func (o *Object) Parse(into any) error {
	decoder := json.NewDecoder(bytes.NewReader(o.Body))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the %s %s is no %T: %w", o.Kind, o.ID, into, err)
	}
	return nil
}
