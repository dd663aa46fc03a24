// Package types holds the values of WIT that Go has no type for, as the
// generated bindings name them. It stands in for the package of that name of
// the bindings' generator, so that a plugin needs no module but this one.
//
// It is not for authors of plugins.
package types

// The tags of an Option.
const (
	OptionNone = 0
	OptionSome = 1
)

// The tags of a Result.
const (
	ResultOk  = 0
	ResultErr = 1
)

// Option is a value or nothing.
type Option[T any] struct {
	some  bool
	value T
}

// None is nothing.
func None[T any]() Option[T] { return Option[T]{} }

// Some is a value.
func Some[T any](value T) Option[T] { return Option[T]{some: true, value: value} }

// Tag says which of the two it is.
func (o Option[T]) Tag() uint8 {
	if o.some {
		return OptionSome
	}
	return OptionNone
}

// Some is the value; it panics where there is none.
func (o Option[T]) Some() T {
	if !o.some {
		panic("an option without a value was asked for it")
	}
	return o.value
}

// Get is the value, and whether there is one.
func (o Option[T]) Get() (T, bool) { return o.value, o.some }

// Result is a value or an error.
type Result[T, E any] struct {
	failed bool
	ok     T
	err    E
}

// Ok is a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{ok: value} }

// Err is an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{failed: true, err: err} }

// Tag says which of the two it is.
func (r Result[T, E]) Tag() uint8 {
	if r.failed {
		return ResultErr
	}
	return ResultOk
}

// Ok is the value; it panics where there is an error.
func (r Result[T, E]) Ok() T {
	if r.failed {
		panic("a failed result was asked for its value")
	}
	return r.ok
}

// Err is the error; it panics where there is a value.
func (r Result[T, E]) Err() E {
	if !r.failed {
		panic("a result that succeeded was asked for its error")
	}
	return r.err
}

// IsErr says whether it is an error.
func (r Result[T, E]) IsErr() bool { return r.failed }

// Tuple2 is a pair.
type Tuple2[A, B any] struct {
	F0 A
	F1 B
}

// Unit is nothing at all.
type Unit struct{}
