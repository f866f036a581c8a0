// Package slab allocates many values of one type at once: a chunk costs one allocation.
package slab

// DefaultChunk is the number of values in the largest chunk of a zero Allocator. It is small, since one value that is
// in use keeps its whole chunk in memory.
const DefaultChunk = 16

// Allocator allocates values of one type in chunks. Chunks grow, so that few values waste little memory. The zero
// Allocator is ready for use. It is not safe for concurrent use.
type Allocator[T any] struct {
	// MaxChunk is the number of values in the largest chunk; 0 is DefaultChunk.
	MaxChunk int

	free []T
	last int // length of the last chunk
}

// New returns a pointer to a zero value.
func (a *Allocator[T]) New() *T { return &a.Make(1)[0] }

// Make returns a slice of n zero values, whose capacity is n. It is never nil.
func (a *Allocator[T]) Make(n int) []T {
	if n == 0 {
		return []T{}
	}
	if n > len(a.free) {
		limit := a.MaxChunk
		if limit == 0 {
			limit = DefaultChunk
		}
		if n > limit/2 {
			return make([]T, n)
		}
		a.last = min(max(n, 2*a.last), limit)
		a.free = make([]T, a.last)
	}
	made := a.free[:n:n]
	a.free = a.free[n:]
	return made
}

// Clone returns a copy of values, which is never nil.
func (a *Allocator[T]) Clone(values []T) []T {
	made := a.Make(len(values))
	copy(made, values)
	return made
}
