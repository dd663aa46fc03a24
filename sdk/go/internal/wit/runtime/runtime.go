// Package runtime gives the host memory to put values into, as the component
// model's canonical ABI asks. It stands in for the package of that name of the
// bindings' generator.
//
// It is not for authors of plugins, and natively it only compiles.
package runtime

import (
	"runtime"
	"unsafe"
)

// Allocate makes room that stays where it is until the pinner lets go of it.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	var room unsafe.Pointer
	// A slice of numbers of this size begins where they may stand.
	switch align {
	case 1:
		room = unsafe.Pointer(unsafe.SliceData(make([]uint8, size)))
	case 2:
		room = unsafe.Pointer(unsafe.SliceData(make([]uint16, (size+1)/2)))
	case 4:
		room = unsafe.Pointer(unsafe.SliceData(make([]uint32, (size+3)/4)))
	default:
		room = unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	}
	pinner.Pin(room)
	return room
}

// received holds what the host put into memory, until Unpin.
var received runtime.Pinner

// Unpin leaves what the host put into memory to the garbage collector, which
// keeps what Go values point at. To be called when the values of a call are
// Go values, and not before: until then the collector cannot see them.
func Unpin() {
	received.Unpin()
	collect()
}
