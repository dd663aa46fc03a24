package host

import "time"

// Milliseconds is a length of time as the contract counts it, rounded up: a
// wait is never shorter than asked for.
func Milliseconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64((d-1)/time.Millisecond) + 1
}

// Time is a moment as the contract counts it.
func Time(milliseconds uint64) time.Time {
	return time.UnixMilli(int64(milliseconds)).UTC()
}
