package graphqlhttp

import (
	"errors"
	"testing"
)

func TestBodyPool(t *testing.T) {
	p := &BodyPool{most: 10 << 20}
	anonymous := []*Reservation{{pool: p, anonymous: true}, {pool: p, anonymous: true}}
	known := &Reservation{pool: p}
	for i, step := range []struct {
		of   *Reservation
		n    int64
		busy bool
	}{
		{anonymous[0], AnonymousBytes - 1, false},
		{anonymous[1], 2, true},
		{anonymous[1], 1, false},
		{anonymous[0], 1, true},
		{known, 6 << 20, false},
		{known, 1, true}, // the pool of all
	} {
		if err := step.of.take(step.n); errors.Is(err, ErrBusy) != step.busy {
			t.Errorf("step %d: %v", i, err)
		}
	}
	anonymous[0].Release()
	anonymous[0].Release()
	if err := anonymous[1].take(AnonymousBytes - 1); err != nil {
		t.Errorf("after a release: %v", err)
	}
	anonymous[1].Release()
	known.Release()
	if p.all != 0 || p.anonymous != 0 {
		t.Errorf("%d and %d bytes are still counted", p.all, p.anonymous)
	}
}
