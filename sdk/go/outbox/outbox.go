// Package outbox asks for effects on the world: HTTP requests and events of the
// plugin's own, performed by the host once the delivery has committed.
//
// Nothing happens while a handler runs, and nothing at all if it fails. What a
// successful run asked for is performed at least once, under an identifier that
// the host sends as `idempotency-key`; failed tries are repeated by the host,
// not by the plugin. Everything needs a grant of the operator's: say what is
// needed with signalbox.NeedsHTTP, NeedsEmit and NeedsSecret.
//
// An identifier is the delivery's and the place of the call in it. So make the
// same calls in the same order when the same event comes again: do not range
// over a map.
package outbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// Why something was refused. The errors that wrap them say more.
var (
	ErrNotGranted = host.ErrEffectNotGranted
	ErrInvalid    = host.ErrEffectInvalid
	ErrQuota      = host.ErrEffectQuota
)

// Request is an HTTP request on its way; nothing is asked for until Send.
type Request struct {
	request host.Request
	err     error
}

// New is a request of this upper-case method to this absolute `https` URL. The
// host tries until it is answered `2xx`, or gives it up.
func New(method, url string) *Request {
	return &Request{request: host.Request{Method: method, URL: url}}
}

// Post is a POST; see [New].
func Post(url string) *Request { return New("POST", url) }

// Put is a PUT; see [New].
func Put(url string) *Request { return New("PUT", url) }

// Get is a GET, of use with [Request.ReplyAs] alone; see [New].
func Get(url string) *Request { return New("GET", url) }

// Delete is a DELETE; see [New].
func Delete(url string) *Request { return New("DELETE", url) }

// Header adds a header. `{{secret:NAME}}` in its value is replaced by the
// operator's secret as the request is sent: no plugin ever sees it.
func (r *Request) Header(name, value string) *Request {
	r.request.Headers = append(r.request.Headers, host.Attribute{Name: strings.ToLower(name), Value: value})
	return r
}

// Body is a body of this media type.
func (r *Request) Body(contentType string, body []byte) *Request {
	r.request.Headers = slices.DeleteFunc(r.request.Headers, func(a host.Attribute) bool {
		return a.Name == "content-type"
	})
	r.request.Body = body
	return r.Header("content-type", contentType)
}

// JSON is a body of JSON, and the header that says so.
func (r *Request) JSON(value any) *Request {
	body, err := json.Marshal(value)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("outbox: the body cannot be written as JSON: %w", err)
	}
	return r.Body("application/json", body)
}

// After sends it no earlier than this after the commit, at most 400 days.
func (r *Request) After(delay time.Duration) *Request {
	r.request.Delay = delay
	return r
}

// ReplyAs brings the answer back as an event of this type, whose provider is the
// plugin: take it with signalbox.On(kind, fn, signalbox.From(PLUGIN-NAME)) and
// read it with Event.Reply.
func (r *Request) ReplyAs(kind string) *Request {
	r.request.ReplyKind = kind
	return r
}

// Send asks for it. The effect's identifier can be kept in kv, to [Cancel] the
// effect in a later delivery.
func (r *Request) Send() (string, error) {
	if r.err != nil {
		return "", r.err
	}
	return refused(host.Current().HTTP(r.request))
}

// Emit makes an event of the plugin's own once the delivery commits, its body
// this value as JSON. Whoever subscribes to it takes it, this plugin too, with
// signalbox.From(PLUGIN-NAME).
func Emit(kind string, value any) (string, error) { return EmitAfter(kind, value, 0) }

// EmitAfter is [Emit], no earlier than delay after the commit: a durable timer.
func EmitAfter(kind string, value any, delay time.Duration) (string, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("outbox: the body cannot be written as JSON: %w", err)
	}
	return EmitBytes(kind, "application/json", body, delay)
}

// EmitBytes is [EmitAfter] with any body.
func EmitBytes(kind, contentType string, body []byte, delay time.Duration) (string, error) {
	return refused(host.Current().Emit(kind, contentType, body, delay))
}

// Cancel withdraws what an earlier delivery asked for, once this one commits. It
// is false when it is too late: it was or is being performed, was given up or
// withdrawn already, or never asked for.
func Cancel(effect string) (bool, error) { return refused(host.Current().Cancel(effect)) }

func refused[T any](value T, err error) (T, error) {
	if err != nil {
		return value, fmt.Errorf("outbox: %w", err)
	}
	return value, nil
}
