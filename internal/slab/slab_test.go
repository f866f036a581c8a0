package slab_test

import (
	"slices"
	"testing"

	"github.com/consoleql/consoleql/internal/slab"
)

func TestValuesDoNotOverlap(t *testing.T) {
	for _, limit := range []int{0, 1, 2, 64} {
		a := slab.Allocator[int]{MaxChunk: limit}
		var all [][]int
		for i := range 200 {
			made := a.Make(i % 40)
			if made == nil || len(made) != cap(made) || slices.ContainsFunc(made, func(v int) bool { return v != 0 }) {
				t.Fatalf("limit %d: Make(%d) = %v, of capacity %d", limit, i%40, made, cap(made))
			}
			for j := range made {
				made[j] = i + 1
			}
			*a.New() = -1
			all = append(all, made)
		}
		for i, made := range all {
			if slices.ContainsFunc(made, func(v int) bool { return v != i+1 }) {
				t.Errorf("limit %d: slice %d is overwritten: %v", limit, i, made)
			}
		}
	}
}

func TestCloneIsIndependent(t *testing.T) {
	var a slab.Allocator[string]
	given := []string{"a", "b"}
	cloned := a.Clone(given)
	given[0] = "c"
	if !slices.Equal(cloned, []string{"a", "b"}) {
		t.Errorf("the clone has changed: %v", cloned)
	}
	if a.Clone(nil) == nil {
		t.Error("the clone of nil is nil")
	}
}

func TestChunksGrow(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var a slab.Allocator[[4]int]
		for range 31 { // chunks of 1, 2, 4, 8 and 16
			a.New()
		}
	}); n != 5 {
		t.Errorf("%v allocations for 31 values, want 5", n)
	}
}
