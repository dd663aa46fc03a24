package signalbox

import (
	"fmt"
	"runtime/debug"
	"strings"

	"signalbox.internal/signalbox/internal/host"
)

// plugin is what init functions said of this program.
type plugin struct {
	name, version string
	receivers     []receiver
	requests      []host.Attribute
	attributes    []host.Attribute
	mistakes      []string
}

type receiver struct {
	host.Subscription
	fn Handler
}

// own is filled by init functions alone and constant afterwards.
var own = &plugin{}

func init() {
	host.Plugin.Describe = own.describe
	host.Plugin.Handle = own.handle
	host.Plugin.Run = run
}

// wrong keeps a mistake of the author's until someone can be told: init runs
// before there is a log.
func (p *plugin) wrong(format string, args ...any) {
	p.mistakes = append(p.mistakes, fmt.Sprintf(format, args...))
}

func (p *plugin) check() error {
	mistakes := p.mistakes
	if p.name == "" {
		mistakes = append(mistakes, "call signalbox.Plugin(NAME, VERSION) in init")
	}
	if len(p.receivers) == 0 {
		mistakes = append(mistakes, "call signalbox.On(TYPE, FUNCTION) in init: it takes no events")
	}
	if len(mistakes) == 0 {
		return nil
	}
	return fmt.Errorf("the plugin is not well-formed: %s", strings.Join(mistakes, "; "))
}

func (p *plugin) describe() host.Manifest {
	if err := p.check(); err != nil {
		panic(err)
	}
	manifest := host.Manifest{
		Name: p.name, Version: p.version, Requests: p.requests, Attributes: p.attributes,
	}
	for _, r := range p.receivers {
		manifest.Subscriptions = append(manifest.Subscriptions, r.Subscription)
	}
	return manifest
}

// handle runs each handler that takes the event, until one fails.
func (p *plugin) handle(raw host.Event, delivery host.Delivery) host.Outcome {
	event := newEvent(raw, delivery)
	return run(func() error {
		taken := false
		for _, r := range p.receivers {
			if r.Provider == event.Provider && holds(r.Kind, event.Kind) {
				taken = true
				if err := r.fn(event); err != nil {
					return err
				}
			}
		}
		if taken {
			return nil
		}
		// It was accepted for an older version of the plugin.
		return Rejectf("no handler of %s %s takes `%s` of `%s`",
			p.name, p.version, event.Kind, event.Provider)
	})
}

// run is a delivery: whatever becomes of fn is an outcome.
func run(fn func() error) (outcome host.Outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			reason := fmt.Sprint(cause)
			stack := stackBelowPanic(string(debug.Stack()))
			host.Current().Log(host.Error, reason, []host.Attribute{{Name: "stack", Value: stack}})
			outcome = host.Outcome{End: host.Panicked, Reason: reason, Stack: stack}
		}
	}()
	return classify(fn())
}

// maxStack bounds the stack in the log, whose records have room for little more.
const maxStack = 3 << 10

// stackBelowPanic leaves out the frames of the panic itself, and the end of a
// stack that is too long: where it happened is at its beginning.
func stackBelowPanic(stack string) string {
	if at := strings.LastIndex(stack, "\npanic("); at >= 0 {
		lines := strings.SplitN(stack[at+1:], "\n", 3)
		stack = lines[len(lines)-1]
	}
	if len(stack) > maxStack {
		stack = strings.ToValidUTF8(stack[:maxStack], "") + "\n..."
	}
	return strings.TrimSpace(stack)
}

// holds says whether the pattern holds the type: the contract's
// `handler.subscription.kind`.
func holds(pattern, kind string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(kind) > len(prefix) && strings.HasPrefix(kind, prefix)
	}
	return pattern == kind
}

// overlap says whether some type is in both patterns.
func overlap(a, b string) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] == '*' || b[i] == '*' {
			return true
		}
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}
