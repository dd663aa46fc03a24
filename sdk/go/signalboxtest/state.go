package signalboxtest

import (
	"slices"
	"strings"

	"signalbox.internal/signalbox/internal/host"
)

// running is what the delivery under way did.
type running struct {
	delivery string
	// writes holds nil for what was deleted.
	writes      map[string][]byte
	operations  int
	written     int
	objectReads int
	objectBytes int
	asked       []*Effect
	cancels     map[string]bool
	effectCalls int
	effectBytes int
	logs        []Record
	dropped     int
}

// keysPerPage is small, so that a test crosses from one page to the next.
const keysPerPage = 16

func (h *Host) operation(key string) error {
	h.run.operations++
	if h.run.operations > h.Limits.KVOperations {
		return host.ErrOperations
	}
	if key == "" || len(key) > 512 {
		return host.ErrKeySize
	}
	return nil
}

func (h *Host) seen(key string) ([]byte, bool) {
	if value, ok := h.run.writes[key]; ok {
		return value, value != nil
	}
	value, ok := h.committed[key]
	return value, ok
}

func (h *Host) visible() map[string][]byte {
	visible := map[string][]byte{}
	for key, value := range h.committed {
		visible[key] = value
	}
	for key, value := range h.run.writes {
		if value == nil {
			delete(visible, key)
		} else {
			visible[key] = value
		}
	}
	return visible
}

func (h *Host) put(key string, value []byte, bytes int) error {
	if h.run.written += bytes; h.run.written > h.Limits.KVWrites {
		return host.ErrOperations
	}
	h.run.writes[key] = value
	return nil
}

func (h *Host) page(prefix, after string, more bool) ([]string, string, bool) {
	var keys []string
	for key := range h.visible() {
		if strings.HasPrefix(key, prefix) && (!more || key > after) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if len(keys) <= keysPerPage {
		return keys, "", false
	}
	return keys[:keysPerPage], keys[keysPerPage-1], true
}
