package capabilities

import (
	"fmt"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/scope"
)

// clock is a time that tests own.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func TestObservationsExpire(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	k := New(Options{Now: c.read, Relearn: 10 * time.Minute, PageSize: 500, IDs: IDsAuto})
	here, there := scope.Scope{CompanyID: "c", DepartmentID: "d"}, scope.Scope{CompanyID: "c", DepartmentID: "e"}

	check := func(when string, known bool) {
		t.Helper()
		if takes, ok := k.TakesIDs("Queue"); ok != known || takes != known {
			t.Errorf("%s: takes Ids %v, known %v", when, takes, ok)
		}
		if n, ok := k.ListSize("ann", "Queue", here); ok != known || (n == 42) != known {
			t.Errorf("%s: list size %d, known %v", when, n, ok)
		}
		want := 500
		if known {
			want = 20
		}
		if n := k.PageSize("ann", "Queue"); n != want {
			t.Errorf("%s: page size %d, want %d", when, n, want)
		}
	}
	check("at first", false)
	k.ObserveListSize("", "Queue", here, 42)
	k.ObserveClamp("", "Queue", 20)
	if _, ok := k.ListSize("", "Queue", here); ok || k.PageSize("", "Queue") != 500 {
		t.Error("something is known to everybody")
	}
	k.ObserveIDs("Queue", true)
	k.ObserveClamp("ann", "Queue", 20)
	k.ObserveListSize("ann", "Queue", here, 42)
	check("once seen", true)
	if _, ok := k.ListSize("ann", "Queue", there); ok {
		t.Error("a list is known by another department's")
	}
	if _, ok := k.ListSize("bob", "Queue", here); ok || k.PageSize("bob", "Queue") != 500 {
		t.Error("a list is known to somebody who has not seen it")
	}
	if _, ok := k.TakesIDs("Robot"); ok || k.PageSize("ann", "Robot") != 500 {
		t.Error("a kind is known by another")
	}
	c.now = c.now.Add(10*time.Minute - time.Second)
	check("shortly before it expires", true)
	c.now = c.now.Add(2 * time.Second)
	check("after it has expired", false)
	k.ObserveIDs("Queue", false)
	if takes, known := k.TakesIDs("Queue"); takes || !known {
		t.Errorf("takes %v, known %v", takes, known)
	}
}

func TestSettingOverridesObservations(t *testing.T) {
	for mode, want := range map[IDsMode]bool{IDsOn: true, IDsOff: false} {
		k := New(withDefaults(Options{IDs: mode}))
		k.ObserveIDs("Queue", !want)
		if takes, known := k.TakesIDs("Queue"); takes != want || !known {
			t.Errorf("%s: takes %v, known %v", mode, takes, known)
		}
	}
}

func TestClampNeverRaisesPageSize(t *testing.T) {
	k := New(withDefaults(Options{PageSize: 50}))
	k.ObserveClamp("ann", "Queue", 80)
	if n := k.PageSize("ann", "Queue"); n != 50 {
		t.Errorf("page size %d", n)
	}
}

func TestListSizesAreBounded(t *testing.T) {
	k := New(withDefaults(Options{}))
	for i := range 2*maxSizes + 1 {
		k.ObserveListSize("ann", "Queue", scope.Scope{DepartmentID: fmt.Sprint(i)}, i)
		if len(k.sizes) > maxSizes {
			t.Fatalf("%d sizes are kept", len(k.sizes))
		}
	}
	if n, ok := k.ListSize("ann", "Queue", scope.Scope{DepartmentID: fmt.Sprint(2 * maxSizes)}); !ok || n != 2*maxSizes {
		t.Errorf("the newest is %d, known %v", n, ok)
	}
}

// That `Ids` is ignored is seen beyond doubt; that it is taken may be chance.
func TestIgnoredIDsOverrideSupportedIDs(t *testing.T) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	k := New(Options{Now: c.read, Relearn: time.Minute, IDs: IDsAuto})
	k.ObserveIDs("Queue", true)
	k.ObserveIDs("Queue", false)
	k.ObserveIDs("Queue", true)
	if takes, known := k.TakesIDs("Queue"); takes || !known {
		t.Errorf("takes %v, known %v", takes, known)
	}
	c.now = c.now.Add(time.Hour)
	k.ObserveIDs("Queue", true)
	if takes, known := k.TakesIDs("Queue"); !takes || !known {
		t.Errorf("after it has expired: takes %v, known %v", takes, known)
	}
}

// withDefaults fills the fields that a test does not set.
func withDefaults(o Options) Options {
	if o.PageSize == 0 {
		o.PageSize = 500
	}
	if o.Relearn == 0 {
		o.Relearn = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
