// Package kv is the plugin's durable state: an ordered map of its own.
//
// A delivery sees one snapshot and its own writes. What it writes is committed
// together with its success, once, or not at all: a counter counts events, not
// attempts. Nothing else survives a run, a package variable least of all.
package kv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strconv"

	"signalbox.internal/signalbox/internal/host"
)

// The host's limits that a call can run into. Faults of the host's own are not
// among them: it abandons the delivery and tries again.
var (
	ErrKeySize    = host.ErrKeySize
	ErrValueSize  = host.ErrValueSize
	ErrQuota      = host.ErrQuota
	ErrOperations = host.ErrOperations
)

// Get is the value under key, and whether there is one.
func Get(key string) ([]byte, bool, error) {
	value, ok, err := host.Current().Get(key)
	return value, ok, at(key, err)
}

// Set puts a value under key, replacing what was there.
func Set(key string, value []byte) error { return at(key, host.Current().Set(key, value)) }

// Delete removes key. Removing an absent key is no error.
func Delete(key string) error { return at(key, host.Current().Delete(key)) }

// Text is the text under key, and whether there is one.
func Text(key string) (string, bool, error) {
	value, ok, err := Get(key)
	return string(value), ok, err
}

// SetText puts text under key.
func SetText(key, text string) error { return Set(key, []byte(text)) }

// JSON reads the value under key, and says whether there is one. Numbers are
// exact, as in Event.Object.
func JSON(key string, into any) (bool, error) {
	value, ok, err := Get(key)
	if err != nil || !ok {
		return false, err
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return true, at(key, fmt.Errorf("the value is no %T: %w", into, err))
	}
	return true, nil
}

// SetJSON puts a value under key, as JSON.
func SetJSON(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return at(key, err)
	}
	return Set(key, text)
}

// Count is the whole number under key, 0 until it is first added to.
func Count(key string) (int64, error) {
	text, ok, err := Text(key)
	if err != nil || !ok {
		return 0, err
	}
	count, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, at(key, fmt.Errorf("the value is no whole number: %w", err))
	}
	return count, nil
}

// Add adds n, which may be negative, to the number under key, and is what it
// stands at then.
func Add(key string, n int64) (int64, error) {
	count, err := Count(key)
	if err != nil {
		return 0, err
	}
	if n > 0 && count > math.MaxInt64-n || n < 0 && count < math.MinInt64-n {
		return 0, at(key, fmt.Errorf("the counter is full"))
	}
	count += n
	return count, SetText(key, strconv.FormatInt(count, 10))
}

// Keys are the keys that start with prefix, in ascending order of their bytes,
// fetched a page at a time. The sequence ends after an error.
//
//	for key, err := range kv.Keys("customer/") {
//		if err != nil {
//			return err
//		}
//		...
//	}
func Keys(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after, more := "", false
		for {
			keys, next, again, err := host.Current().Keys(prefix, after, more)
			if err != nil {
				yield("", at(prefix, err))
				return
			}
			for _, key := range keys {
				if !yield(key, nil) {
					return
				}
			}
			if !again {
				return
			}
			after, more = next, true
		}
	}
}

func at(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("kv `%s`: %w", key, err)
}
