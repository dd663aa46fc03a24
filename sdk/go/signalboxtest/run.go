package signalboxtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// Run is what one delivery came to.
type Run struct {
	// Logs is what was logged, in order.
	Logs []Record
	// LogsDropped is how many records were over the limit.
	LogsDropped int
	// Effects is what it asked the outbox for, in order; none unless it
	// succeeded.
	Effects []*Effect

	t       testing.TB
	outcome host.Outcome
}

// Record is one log record.
type Record struct {
	// Level is `trace`, `debug`, `info`, `warn` or `error`.
	Level, Message string
	Attributes     map[string]string
}

func (r *Run) String() string {
	switch r.outcome.End {
	case host.OK:
		return "the run succeeded"
	case host.Retry:
		return "the run asked for another attempt: " + r.outcome.Reason
	case host.Reject:
		return "the run rejected the event: " + r.outcome.Reason
	case host.Panicked:
		return fmt.Sprintf("the run panicked: %s\n%s", r.outcome.Reason, r.outcome.Stack)
	}
	return "the plugin does not subscribe to such events"
}

// OK fails the test unless the run succeeded.
func (r *Run) OK() *Run {
	r.t.Helper()
	if r.outcome.End != host.OK {
		r.t.Fatal(r)
	}
	return r
}

// Retry fails the test unless the run asked for another attempt. It is the
// reason, and the wait that was asked for.
func (r *Run) Retry() (reason string, after time.Duration) {
	r.t.Helper()
	if r.outcome.End != host.Retry {
		r.t.Fatal(r)
	}
	return r.outcome.Reason, r.outcome.After
}

// Reject fails the test unless the run rejected the event. It is the reason.
func (r *Run) Reject() string {
	r.t.Helper()
	if r.outcome.End != host.Reject {
		r.t.Fatal(r)
	}
	return r.outcome.Reason
}

// Panic fails the test unless the run panicked, which the host sees as a
// request for another attempt. It is the message.
func (r *Run) Panic() string {
	r.t.Helper()
	if r.outcome.End != host.Panicked {
		r.t.Fatal(r)
	}
	return r.outcome.Reason
}

// Subscribed says whether the plugin takes such events at all.
func (r *Run) Subscribed() bool { return r.outcome.End != host.NotSubscribed }

// Logged says whether a record's message contains this.
func (r *Run) Logged(text string) bool {
	for _, record := range r.Logs {
		if strings.Contains(record.Message, text) {
			return true
		}
	}
	return false
}
