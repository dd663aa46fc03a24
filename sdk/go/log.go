package signalbox

import (
	"context"
	"log/slog"
	"slices"

	"signalbox.internal/signalbox/internal/host"
)

func init() { slog.SetDefault(slog.New(Logger{})) }

// Logger writes records of [log/slog] to the host's log, attributed to the
// plugin and the delivery. It is slog's default handler in every plugin, so
// that slog.Info and its siblings, and package log, write there.
//
// Records are kept when the delivery fails. The host's own level decides which.
type Logger struct {
	prefix     string
	attributes []host.Attribute
}

// Enabled implements [slog.Handler].
func (Logger) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (l Logger) Handle(_ context.Context, record slog.Record) error {
	if !host.Running() {
		return nil
	}
	attributes := slices.Clone(l.attributes)
	record.Attrs(func(a slog.Attr) bool {
		attributes = flatten(attributes, l.prefix, a)
		return true
	})
	host.Current().Log(level(record.Level), record.Message, attributes)
	return nil
}

// WithAttrs implements [slog.Handler].
func (l Logger) WithAttrs(attributes []slog.Attr) slog.Handler {
	l.attributes = slices.Clone(l.attributes)
	for _, a := range attributes {
		l.attributes = flatten(l.attributes, l.prefix, a)
	}
	return l
}

// WithGroup implements [slog.Handler].
func (l Logger) WithGroup(name string) slog.Handler {
	if name != "" {
		l.prefix += name + "."
	}
	return l
}

// flatten names what is in a group `group.name`: the host's attributes are flat.
func flatten(to []host.Attribute, prefix string, a slog.Attr) []host.Attribute {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range value.Group() {
			to = flatten(to, prefix, inner)
		}
		return to
	}
	if a.Equal(slog.Attr{}) {
		return to
	}
	return append(to, host.Attribute{Name: prefix + a.Key, Value: value.String()})
}

func level(l slog.Level) uint8 {
	switch {
	case l < slog.LevelDebug:
		return host.Trace
	case l < slog.LevelInfo:
		return host.Debug
	case l < slog.LevelWarn:
		return host.Info
	case l < slog.LevelError:
		return host.Warn
	}
	return host.Error
}
