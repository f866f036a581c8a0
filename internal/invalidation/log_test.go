package invalidation

import (
	"testing"
	"testing/quick"
)

// Every replica places a tag in the same slot, also one of another release.
func TestSlotOf(t *testing.T) {
	for tag, want := range map[string]Slot{"": 61457, "tag": 7541, "robots:9f5c": 25927} {
		if got := SlotOf(tag); got != want {
			t.Errorf("%q is in slot %d, want %d", tag, got, want)
		}
	}
	sorted := func(tags []string) bool {
		slots := SlotsOf(tags...)
		for i := range slots {
			if i > 0 && slots[i-1] >= slots[i] {
				return false
			}
		}
		return len(slots) <= len(tags)
	}
	if err := quick.Check(sorted, nil); err != nil {
		t.Error(err)
	}
}

// An invalidation for a refresh spares nothing if another one is missing before it: that may
// concern what the refresh loaded.
func TestRefreshAfterMissedInvalidation(t *testing.T) {
	const of, s = RefreshID(1), Slot(7)
	for name, rest := range map[string]func(*Log){
		"a late word": func(l *Log) { l.apply("e", 5, []Slot{s}, 0); l.catchUp("e", 6, []slotVersion{{s, 6, 6}}, false) },
		"a lost word": func(l *Log) { l.catchUp("e", 6, []slotVersion{{s, 6, 6}}, false) },
	} {
		l := &Log{}
		l.catchUp("e", 4, nil, false)
		if !l.apply("e", 5, []Slot{s}, of) || !l.CurrentShared("e", 4, []Slot{s}, of) || l.CurrentShared("e", 4, []Slot{s}, 0) {
			t.Error("without a gap, what was loaded for it is not spared, or something else is")
		}
		l = &Log{}
		l.catchUp("e", 4, nil, false)
		l.apply("e", 6, []Slot{s}, of)
		rest(l)
		if l.CurrentShared("e", 4, []Slot{s}, of) {
			t.Errorf("%s: what was loaded before it is current", name)
		}
	}
}

// A heartbeat that was answered before an invalidation was applied brings that invalidation again. It must not end what
// the invalidation spares, unless another one was missing before it.
func TestLateHeartbeatInvalidatesNothing(t *testing.T) {
	const s = Slot(7)
	for name, tt := range map[string]struct {
		version uint64
		usable  bool
	}{
		"in order":    {5, true},
		"after a gap": {6, false},
	} {
		l := &Log{}
		l.catchUp("e", 4, nil, false)
		seq := l.Seq()
		l.apply("e", tt.version, []Slot{s}, Uncertain)
		l.catchUp("e", tt.version, []slotVersion{{s, tt.version, tt.version}}, false)
		if got := l.Usable(seq, []Slot{s}, 0); got != tt.usable || l.Current(seq, []Slot{s}, 0) {
			t.Errorf("%s: usable %t, want %t", name, got, tt.usable)
		}
	}
}

// TestCatchUpCountsAsRefresh verifies that a running query is executed again although a heartbeat brought the expiry
// that an event needs, or although Redis has not answered.
func TestCatchUpCountsAsRefresh(t *testing.T) {
	const s = Slot(7)
	refresh := NewRefreshID()
	for name, invalidate := range map[string]func(*Log){
		"at once":     func(l *Log) { l.bump([]Slot{s}, refresh) },
		"by catch-up": func(l *Log) { l.catchUp("e", 5, []slotVersion{{s, 5, 5}}, false) },
		"first by catch-up": func(l *Log) {
			l.bump([]Slot{s}, refresh)
			l.catchUp("e", 5, []slotVersion{{s, 5, 5}}, false)
			l.apply("e", 5, []Slot{s}, refresh)
		},
		"enqueued": func(l *Log) {
			l.bump([]Slot{s}, refresh)
			newCluster(Options{}, l, "a").enqueue([]Slot{s}, refresh)
		},
		"published later": func(l *Log) {
			l.bump([]Slot{s}, refresh)
			inv := newCluster(Options{}, l, "a").enqueue([]Slot{s}, refresh)
			l.apply("e", 5, inv.slots, inv.refreshID)
		},
		"published again": func(l *Log) {
			l.bump([]Slot{s}, refresh)
			c := newCluster(Options{}, l, "a")
			c.remember([]Slot{s})
			c.republish()
		},
	} {
		l := &Log{}
		l.catchUp("e", 4, nil, false)
		seq := l.Seq()
		invalidate(l)
		if !l.HitByRefresh(s, seq, 0) {
			t.Errorf("%s: an event may have been sent, and the log does not tell", name)
		}
	}
}

// TestEnqueuedInvalidations verifies for what invalidations count that are published together.
func TestEnqueuedInvalidations(t *testing.T) {
	first, second := NewRefreshID(), NewRefreshID()
	for name, tt := range map[string]struct {
		refreshIDs []RefreshID
		want       RefreshID // 0, Uncertain, or another for any other refresh
	}{
		"certain":            {[]RefreshID{0}, 0},
		"uncertain":          {[]RefreshID{Uncertain, Uncertain}, Uncertain},
		"uncertain, certain": {[]RefreshID{Uncertain, 0}, 0},
		"certain, uncertain": {[]RefreshID{0, Uncertain}, 0},
		"refresh":            {[]RefreshID{first}, second},
		"two refreshes":      {[]RefreshID{first, second}, second},
		"certain, refresh":   {[]RefreshID{0, first}, second},
		"refresh, certain":   {[]RefreshID{first, 0}, second},
		"refresh, uncertain": {[]RefreshID{first, Uncertain}, second},
		"uncertain, refresh": {[]RefreshID{Uncertain, first}, second},
	} {
		c := newCluster(Options{}, &Log{}, "a")
		var got RefreshID
		for i, id := range tt.refreshIDs {
			got = c.enqueue([]Slot{Slot(i)}, id).refreshID
		}
		if min(got, Uncertain+1) != min(tt.want, Uncertain+1) || got == first || got == second {
			t.Errorf("%s: %d", name, got)
		}
	}
}
