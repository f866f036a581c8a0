package chaos

import (
	"slices"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// rows returns all faults, in the document's order.
func rows() []row {
	return slices.Concat(consoleRows(), pageRows(), ssoRows(), connectionRows(), redisRows(), signalRows())
}

// TestFaults compares what callers see of each fault with the table of rows.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, r := range rows() {
		if !*all && !r.short {
			continue
		}
		for _, col := range columns() {
			t.Run(r.name+"/"+col.name, func(t *testing.T) {
				t.Parallel()
				r.check(t, col)
			})
		}
	}
}

// check compares one cell.
func (r row) check(t *testing.T, col column) {
	want := col.of(&r.want)
	within := longTimeout
	if want.wait == timeout || col.stream {
		within = shortTimeout
	}
	o := consolesim.Options{}
	if col.stream {
		at := time.Now()
		o.Now = func() time.Time { return at } // robots change on request only
	}
	w := newWorld(t, col, r.needs, within, o, r.adjust)
	defer w.heal()
	w.begin, w.ends = r.begin, want.ended
	begun := time.Now()
	seen := col.run(w)
	if *show {
		t.Logf("SEEN|%s|%s|%s|calls %d|executed %d|%v", r.name, col.name, seen.text(), seen.calls, seen.executed, time.Since(begun).Round(100*time.Millisecond))
	}
	if d := want.differs(seen, time.Since(begun)); d != "" {
		t.Error(d)
	}
}
