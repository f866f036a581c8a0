package edge

import (
	"errors"
	"testing"
)

func TestBodyPool(t *testing.T) {
	p := &bodyPool{most: 10 << 20}
	anonymous := []*held{{pool: p, anonymous: true}, {pool: p, anonymous: true}}
	known := &held{pool: p}
	for i, step := range []struct {
		of   *held
		n    int64
		busy bool
	}{
		{anonymous[0], anonymousBytes - 1, false},
		{anonymous[1], 2, true},
		{anonymous[1], 1, false},
		{anonymous[0], 1, true},
		{known, 6 << 20, false},
		{known, 1, true}, // the pool of all
	} {
		if err := step.of.take(step.n); errors.Is(err, errBusy) != step.busy {
			t.Errorf("step %d: %v", i, err)
		}
	}
	anonymous[0].release()
	anonymous[0].release()
	if err := anonymous[1].take(anonymousBytes - 1); err != nil {
		t.Errorf("after a release: %v", err)
	}
	anonymous[1].release()
	known.release()
	if p.all != 0 || p.anonymous != 0 {
		t.Errorf("%d and %d bytes are still counted", p.all, p.anonymous)
	}
}
