package runtime

import (
	"runtime"
	"runtime/debug"
	"unsafe"
)

// started is false until the Go runtime can allocate. The adapter between
// WASI's two versions asks for memory before.
var started bool

// The collector runs at the ends of calls alone (see collect), where imports may
// be called: one that is under way while the host puts a value here traps.
func init() {
	started = true
	debug.SetGCPercent(-1)
}

// After this many bytes or calls the garbage is collected.
const (
	bytesBetween = 8 << 20
	callsBetween = 256
)

var bytes, calls uintptr

func collect() {
	calls++
	if bytes >= bytesBetween || calls >= callsBetween {
		bytes, calls = 0, 0
		runtime.GC()
	}
}

// early is what is given away before that: the adapter takes one page of
// 64 KiB for itself, and the runtime's first calls a few strings.
var (
	early     [4 << 16]byte
	earlyUsed uintptr
)

// While the host puts a value into memory, no import may be called, and Go's
// garbage collector looks at the clock. The adapter answers from memory while
// it is told that the clock stands still.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if !started {
		start := uintptr(unsafe.Pointer(&early)) + earlyUsed
		padding := -start & (align - 1)
		if earlyUsed+padding+size > uintptr(len(early)) {
			return nil
		}
		earlyUsed += padding + size
		return unsafe.Add(unsafe.Pointer(&early), earlyUsed-size)
	}
	bytes += size
	pauseClock(true)
	room := Allocate(&received, size, align)
	if old != nil {
		copy(unsafe.Slice((*byte)(room), size), unsafe.Slice((*byte)(old), oldSize))
	}
	pauseClock(false)
	return room
}
