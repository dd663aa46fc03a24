// Package host is the seam between the SDK and whoever runs it: the real host,
// through the contract's bindings, or a test's.
//
// It is not for authors of plugins.
package host

import (
	"errors"
	"time"
)

// What a host refuses. The packages for authors name these as their own.
var (
	ErrKeySize    = errors.New("the key is empty or longer than 512 bytes")
	ErrValueSize  = errors.New("the value is larger than the host allows")
	ErrQuota      = errors.New("the plugin holds as many bytes as the operator granted")
	ErrOperations = errors.New("the delivery reads or writes more than the host allows")

	ErrObjectNotGranted = errors.New("not granted")
	ErrObjectOperations = errors.New("the delivery reads more than the host allows")

	ErrEffectNotGranted = errors.New("not granted")
	ErrEffectInvalid    = errors.New("not well-formed")
	ErrEffectQuota      = errors.New("the delivery asks for more than the host allows")
)

// Levels of log records, in the contract's order.
const (
	Trace uint8 = iota
	Debug
	Info
	Warn
	Error
)

// Attribute is a name and a value.
type Attribute struct{ Name, Value string }

// Event is the contract's event.
type Event struct {
	ID, Provider, Kind     string
	OccurredAt, ReceivedAt uint64
	ContentType            string
	Body                   []byte
	Attributes             []Attribute
}

// Delivery is the contract's delivery.
type Delivery struct {
	ID      string
	Attempt uint32
	Replay  bool
}

// Object is the contract's mirrored object.
type Object struct {
	ID, Kind string
	AsOf     uint64
	EventID  string
	Deleted  bool
	Body     []byte
}

// Request is the contract's HTTP request, with what goes with it.
type Request struct {
	Method, URL string
	Headers     []Attribute
	Body        []byte
	ReplyKind   string
	Delay       time.Duration
}

// Host is what a plugin can call.
type Host interface {
	Log(level uint8, message string, attributes []Attribute)
	Setting(key string) (string, bool)
	Settings() []Attribute
	Get(key string) ([]byte, bool, error)
	Set(key string, value []byte) error
	Delete(key string) error
	Keys(prefix string, after string, more bool) (keys []string, next string, again bool, err error)
	Object(provider, kind, id string) (*Object, error)
	HTTP(Request) (string, error)
	Emit(kind, contentType string, body []byte, delay time.Duration) (string, error)
	Cancel(effect string) (bool, error)
}

var current Host

// Use makes the calls of the SDK go to h, and returns where they went before.
func Use(h Host) Host {
	before := current
	current = h
	return before
}

// Current is the host that runs the plugin.
func Current() Host {
	if current == nil {
		panic("signalbox was called outside a delivery. In a test, run the code with " +
			"signalboxtest.New(t).Run; in a plugin, not from init or a package variable")
	}
	return current
}

// Running says whether there is a host to call.
func Running() bool { return current != nil }

// Ends of a run.
const (
	OK = iota
	Retry
	Reject
	Panicked
	NotSubscribed
)

// Outcome is how a run ended.
type Outcome struct {
	End    int
	Reason string
	After  time.Duration
	// Stack is where it panicked.
	Stack string
}

// Manifest is the contract's manifest.
type Manifest struct {
	Name, Version string
	Subscriptions []Subscription
	Requests      []Attribute
	Attributes    []Attribute
}

// Subscription is the contract's subscription; without a filter it is empty.
type Subscription struct{ Provider, Kind, Filter string }

// Plugin is the plugin of this program, as package signalbox sees it.
var Plugin struct {
	Describe func() Manifest
	Handle   func(Event, Delivery) Outcome
	Run      func(func() error) Outcome
}
