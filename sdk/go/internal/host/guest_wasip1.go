package host

import (
	"fmt"
	"time"

	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_config"
	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_kv"
	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_log"
	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_objects"
	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_outbox"
	"signalbox.internal/signalbox/internal/wit/runtime"
	"signalbox.internal/signalbox/internal/wit/types"
)

func init() { current = guest{} }

// guest calls the real host. What a call received is let go of at its end,
// when the garbage collector sees who holds it.
type guest struct{}

func (guest) Log(level uint8, message string, attributes []Attribute) {
	signalbox_plugin_log.Write(level, message, pairs(attributes))
}

func (guest) Setting(key string) (string, bool) {
	defer runtime.Unpin()
	return signalbox_plugin_config.Get(key).Get()
}

func (guest) Settings() []Attribute {
	defer runtime.Unpin()
	return attributes(signalbox_plugin_config.GetAll())
}

func (guest) Get(key string) ([]byte, bool, error) {
	defer runtime.Unpin()
	result := signalbox_plugin_kv.Get(key)
	if result.IsErr() {
		return nil, false, limit(result.Err())
	}
	value, ok := result.Ok().Get()
	return value, ok, nil
}

func (guest) Set(key string, value []byte) error {
	return done(signalbox_plugin_kv.Set(key, value))
}

func (guest) Delete(key string) error {
	return done(signalbox_plugin_kv.Delete(key))
}

func (guest) Keys(prefix, after string, more bool) ([]string, string, bool, error) {
	defer runtime.Unpin()
	from := types.None[string]()
	if more {
		from = types.Some(after)
	}
	result := signalbox_plugin_kv.Keys(prefix, from)
	if result.IsErr() {
		return nil, "", false, limit(result.Err())
	}
	page := result.Ok()
	next, again := page.Next.Get()
	return page.Keys, next, again, nil
}

func (guest) Object(provider, kind, id string) (*Object, error) {
	defer runtime.Unpin()
	result := signalbox_plugin_objects.Get(provider, kind, id)
	if result.IsErr() {
		if result.Err() == signalbox_plugin_objects.RefusalNotGranted {
			return nil, fmt.Errorf("%w: objects `%s %s`", ErrObjectNotGranted, provider, kind)
		}
		return nil, ErrObjectOperations
	}
	found, ok := result.Ok().Get()
	if !ok {
		return nil, nil
	}
	return &Object{
		ID: found.Id, Kind: found.Kind, AsOf: found.AsOf,
		EventID: found.EventId, Deleted: found.Deleted, Body: found.Body,
	}, nil
}

func (guest) HTTP(r Request) (string, error) {
	defer runtime.Unpin()
	request := signalbox_plugin_outbox.HttpRequest{
		Method: r.Method, Url: r.URL, Headers: pairs(r.Headers), Body: r.Body,
	}
	if r.ReplyKind == "" {
		return effect(signalbox_plugin_outbox.Http(request, after(r.Delay)))
	}
	return effect(signalbox_plugin_outbox.HttpWithReply(request, r.ReplyKind, after(r.Delay)))
}

func (guest) Emit(kind, contentType string, body []byte, delay time.Duration) (string, error) {
	defer runtime.Unpin()
	return effect(signalbox_plugin_outbox.Emit(kind, contentType, body, after(delay)))
}

func (guest) Cancel(id string) (bool, error) {
	defer runtime.Unpin()
	return effect(signalbox_plugin_outbox.Cancel(id))
}

func pairs(attributes []Attribute) []types.Tuple2[string, string] {
	pairs := make([]types.Tuple2[string, string], len(attributes))
	for i, a := range attributes {
		pairs[i] = types.Tuple2[string, string]{F0: a.Name, F1: a.Value}
	}
	return pairs
}

func attributes(pairs []types.Tuple2[string, string]) []Attribute {
	attributes := make([]Attribute, len(pairs))
	for i, pair := range pairs {
		attributes[i] = Attribute{pair.F0, pair.F1}
	}
	return attributes
}

func after(delay time.Duration) types.Option[uint64] {
	if delay <= 0 {
		return types.None[uint64]()
	}
	return types.Some(Milliseconds(delay))
}

func done(result types.Result[types.Unit, signalbox_plugin_kv.Limit]) error {
	if result.IsErr() {
		return limit(result.Err())
	}
	return nil
}

func limit(limit signalbox_plugin_kv.Limit) error {
	switch limit {
	case signalbox_plugin_kv.LimitKeySize:
		return ErrKeySize
	case signalbox_plugin_kv.LimitValueSize:
		return ErrValueSize
	case signalbox_plugin_kv.LimitQuota:
		return ErrQuota
	}
	return ErrOperations
}

func effect[T any](result types.Result[T, signalbox_plugin_outbox.Refusal]) (T, error) {
	if !result.IsErr() {
		return result.Ok(), nil
	}
	var none T
	refusal := result.Err()
	switch refusal.Tag() {
	case signalbox_plugin_outbox.RefusalNotGranted:
		return none, fmt.Errorf("%w: %s", ErrEffectNotGranted, refusal.NotGranted())
	case signalbox_plugin_outbox.RefusalInvalid:
		return none, fmt.Errorf("%w: %s", ErrEffectInvalid, refusal.Invalid())
	}
	return none, ErrEffectQuota
}
