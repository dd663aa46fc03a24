package signalboxtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// seam is the host as the SDK calls it. It keeps to the contract's rules, as far
// as they are easily got wrong.
type seam struct{ h *Host }

var levels = [...]string{"trace", "debug", "info", "warn", "error"}

func (s seam) Log(level uint8, message string, attributes []host.Attribute) {
	if len(s.h.run.logs) >= s.h.Limits.LogRecords {
		s.h.run.dropped++
		return
	}
	record := Record{Level: levels[level], Message: message, Attributes: map[string]string{}}
	for _, a := range attributes {
		record.Attributes[a.Name] = a.Value
	}
	s.h.run.logs = append(s.h.run.logs, record)
}

func (s seam) Setting(key string) (string, bool) {
	value, ok := s.h.settings[key]
	return value, ok
}

func (s seam) Settings() []host.Attribute {
	var all []host.Attribute
	for _, key := range slices.Sorted(maps.Keys(s.h.settings)) {
		all = append(all, host.Attribute{Name: key, Value: s.h.settings[key]})
	}
	return all
}

func (s seam) Get(key string) ([]byte, bool, error) {
	if err := s.h.operation(key); err != nil {
		return nil, false, err
	}
	value, ok := s.h.seen(key)
	return slices.Clone(value), ok, nil
}

func (s seam) Set(key string, value []byte) error {
	if err := s.h.operation(key); err != nil {
		return err
	}
	held := len(key) + len(value)
	for other, value := range s.h.visible() {
		if other != key {
			held += len(other) + len(value)
		}
	}
	switch {
	case len(value) > s.h.Limits.KVValue:
		return host.ErrValueSize
	case held > s.h.Limits.KVQuota:
		return host.ErrQuota
	}
	return s.h.put(key, append([]byte{}, value...), len(key)+len(value))
}

func (s seam) Delete(key string) error {
	if err := s.h.operation(key); err != nil {
		return err
	}
	return s.h.put(key, nil, len(key))
}

func (s seam) Keys(prefix, after string, more bool) ([]string, string, bool, error) {
	if err := s.h.operation("a page of keys"); err != nil {
		return nil, "", false, err
	}
	keys, next, again := s.h.page(prefix, after, more)
	return keys, next, again, nil
}

func (s seam) Object(provider, kind, id string) (*host.Object, error) {
	if s.h.refuses["objects"] {
		return nil, fmt.Errorf("%w: objects `%s %s`", host.ErrObjectNotGranted, provider, kind)
	}
	run := s.h.run
	found := s.h.objects[[3]string{provider, kind, id}]
	run.objectReads++
	if found != nil {
		run.objectBytes += len(found.Body)
	}
	if run.objectReads > s.h.Limits.ObjectReads || run.objectBytes > s.h.Limits.ObjectBytes {
		return nil, host.ErrObjectOperations
	}
	return found, nil
}

func (s seam) HTTP(r host.Request) (string, error) {
	effect := &Effect{
		Method: r.Method, URL: r.URL, Headers: map[string]string{},
		Body: append([]byte(nil), r.Body...), ReplyKind: r.ReplyKind, Delay: r.Delay,
	}
	bytes := len(r.Method) + len(r.URL) + len(r.Body) + len(r.ReplyKind)
	for _, header := range r.Headers {
		effect.Headers[header.Name] = header.Value
		bytes += len(header.Name) + len(header.Value)
	}
	effect.ContentType = effect.Headers["content-type"]
	mistake := ""
	switch {
	case r.Method == "" || strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		mistake = fmt.Sprintf("`%s` is no upper-case method such as `POST`", r.Method)
	case !strings.HasPrefix(r.URL, "https://") && !strings.HasPrefix(r.URL, "http://"):
		mistake = fmt.Sprintf("the URL `%s` is not an absolute `https` URL", r.URL)
	case strings.Contains(r.URL+string(r.Body), "{{secret:"):
		mistake = "a secret can stand in the value of a header alone"
	}
	return s.h.ask("outbox.http", mistake, bytes, effect)
}

func (s seam) Emit(kind, contentType string, body []byte, delay time.Duration) (string, error) {
	mistake := ""
	if strings.Contains(kind, "*") || strings.Contains("."+kind+".", "..") {
		mistake = fmt.Sprintf("`%s` is no event type such as `reminder.due`", kind)
	}
	return s.h.ask("outbox.emit", mistake, len(kind)+len(contentType)+len(body), &Effect{
		Kind: kind, ContentType: contentType, Body: append([]byte(nil), body...), Delay: delay,
	})
}

func (s seam) Cancel(id string) (bool, error) {
	r := s.h.run
	at := strings.LastIndex(id, ".")
	switch {
	case at < 0:
		return false, fmt.Errorf("%w: `%s` is not an effect id", host.ErrEffectInvalid, id)
	case id[:at] == r.delivery:
		return false, fmt.Errorf("%w: `%s` is an effect of this very delivery", host.ErrEffectInvalid, id)
	case !strings.HasSuffix(id[:at], "."+s.h.name()):
		return false, fmt.Errorf("%w: `%s` is an effect of another plugin", host.ErrEffectInvalid, id)
	case r.effectCalls >= s.h.Limits.Effects:
		return false, host.ErrEffectQuota
	}
	r.effectCalls++
	effect := s.h.find(id)
	if effect == nil || effect.Status != "waiting" || r.cancels[id] {
		return false, nil
	}
	if r.cancels == nil {
		r.cancels = map[string]bool{}
	}
	r.cancels[id] = true
	return true, nil
}
