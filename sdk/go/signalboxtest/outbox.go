package signalboxtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// Effect is what a run asked the outbox for.
type Effect struct {
	ID string
	// Method and URL are a request's; Kind is an event's type.
	Method, URL string
	Kind        string
	// Headers by name; secrets stand as `{{secret:NAME}}`.
	Headers     map[string]string
	ContentType string
	Body        []byte
	// ReplyKind is the type of the event that brings the answer.
	ReplyKind string
	// Delay is the wait that was asked for.
	Delay time.Duration
	// Status is `waiting`, `performed` or `cancelled`.
	Status string
}

// JSON reads the body.
func (e *Effect) JSON(into any) error { return json.Unmarshal(e.Body, into) }

// Effects is everything that runs which succeeded asked for, in order.
func (h *Host) Effects() []*Effect { return h.effects }

// Waiting is what of it is neither performed nor withdrawn.
func (h *Host) Waiting() []*Effect {
	var waiting []*Effect
	for _, effect := range h.effects {
		if effect.Status == "waiting" {
			waiting = append(waiting, effect)
		}
	}
	return waiting
}

// Fire delivers an event that a run emitted to the plugin: its delay is over.
func (h *Host) Fire(id string) *Run {
	h.t.Helper()
	effect := h.perform(id)
	if effect.Kind == "" {
		h.t.Fatalf("%s is a request; Reply delivers its answer", id)
	}
	return h.Deliver(Event{
		ID: eventID(id), Provider: h.name(), Kind: effect.Kind,
		ContentType: effect.ContentType, Body: effect.Body,
	})
}

// Reply delivers the answer to a request. Status 0 stands for a request that the
// host gave up; the body then says why.
func (h *Host) Reply(id string, status int, headers map[string]string, body string) *Run {
	h.t.Helper()
	effect := h.perform(id)
	if effect.ReplyKind == "" {
		h.t.Fatalf("%s asked for no answer; a request does with ReplyAs", id)
	}
	attributes := map[string]string{"status": strconv.Itoa(status), "effect-id": id}
	for name, value := range headers {
		attributes["header-"+name] = value
	}
	return h.Deliver(Event{
		ID: eventID(id), Provider: h.name(), Kind: effect.ReplyKind,
		ContentType: headers["content-type"], Body: []byte(body), Attributes: attributes,
	})
}

func eventID(effect string) string { return "evt_" + strings.ReplaceAll(effect, ".", "_") }

func (h *Host) find(id string) *Effect {
	for _, effect := range h.effects {
		if effect.ID == id {
			return effect
		}
	}
	return nil
}

func (h *Host) perform(id string) *Effect {
	h.t.Helper()
	effect := h.find(id)
	if effect == nil {
		h.t.Fatalf("no run that succeeded asked for %s", id)
	} else if effect.Status != "waiting" {
		h.t.Fatalf("%s does not wait: it is %s", id, effect.Status)
	}
	effect.Status = "performed"
	return effect
}

// ask takes an effect, or says why not: the contract's rules, as far as they are
// easily got wrong.
func (h *Host) ask(capability, mistake string, bytes int, effect *Effect) (string, error) {
	r := h.run
	switch {
	case mistake != "":
		return "", fmt.Errorf("%w: %s", host.ErrEffectInvalid, mistake)
	case h.refuses[capability]:
		what := effect.Kind
		if what == "" {
			what = effect.Method + " " + effect.URL
		}
		return "", fmt.Errorf("%w: %s `%s`", host.ErrEffectNotGranted, capability, what)
	case r.effectCalls >= h.Limits.Effects || r.effectBytes+bytes > h.Limits.EffectBytes:
		return "", host.ErrEffectQuota
	}
	r.effectCalls++
	r.effectBytes += bytes
	effect.ID = fmt.Sprintf("%s.%d", r.delivery, len(r.asked))
	effect.Status = "waiting"
	r.asked = append(r.asked, effect)
	return effect.ID, nil
}

// commit makes what the run asked for real.
func (h *Host) commit() []*Effect {
	r := h.run
	for key, value := range r.writes {
		if value == nil {
			delete(h.committed, key)
		} else {
			h.committed[key] = value
		}
	}
	for id := range maps.Keys(r.cancels) {
		h.find(id).Status = "cancelled"
	}
	for _, effect := range r.asked {
		before := h.find(effect.ID)
		switch {
		case before == nil:
			h.effects = append(h.effects, effect)
		case before.Status != "performed": // A replay does not repeat what was performed.
			*before = *effect
		}
	}
	return r.asked
}
