//go:build !wasip1

package runtime

func collect() {}
