package signalbox

import (
	"errors"
	"fmt"
	"time"

	"signalbox.internal/signalbox/internal/host"
)

// failure is an error that has made up its mind.
type failure struct {
	err    error
	after  time.Duration
	reject bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Retry asks for another attempt, no earlier than after from now. The host
// keeps the wait within its own bounds, and follows its backoff when it is 0. It
// is nil where err is.
//
// Any error asks for another attempt; this one chooses when, or overrides a
// [Reject] below it.
func Retry(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &failure{err: err, after: after}
}

// Retryf is [Retry] with an error of [fmt.Errorf].
func Retryf(after time.Duration, format string, args ...any) error {
	return Retry(fmt.Errorf(format, args...), after)
}

// Reject says that no attempt will ever succeed: the event is not what the
// plugin understands. The host gives the delivery up; an operator can replay
// it. It is nil where err is.
func Reject(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err: err, reject: true}
}

// Rejectf is [Reject] with an error of [fmt.Errorf].
func Rejectf(format string, args ...any) error {
	return Reject(fmt.Errorf(format, args...))
}

// IsReject says whether returning err gives the event up.
func IsReject(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.reject
}

// classify is the outcome of what a handler returned. The reason is the whole
// error, with what was wrapped around it; of several failures in a chain the
// outermost decides.
func classify(err error) host.Outcome {
	if err == nil {
		return host.Outcome{End: host.OK}
	}
	outcome := host.Outcome{End: host.Retry, Reason: err.Error()}
	var f *failure
	if errors.As(err, &f) {
		outcome.After = f.after
		if f.reject {
			outcome.End = host.Reject
		}
	}
	return outcome
}
