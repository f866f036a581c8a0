package memorytuning

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemoryLimit(t *testing.T) {
	none := func(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
	for name, c := range map[string]struct {
		env              map[string]string
		limit            memlimit.Provider
		wantLimit        int64 // -1: not set
		wantPercent      int   // -1: not set
		wantLog, wantGog string
	}{
		"a container's limit":      {nil, memlimit.Limit(1000 << 20), 900 << 20, 400, "gomemlimit=943718400 from=cgroup", "100 to 400"},
		"GOMEMLIMIT wins":          {map[string]string{"GOMEMLIMIT": "64MiB"}, memlimit.Limit(1 << 30), -1, 400, "gomemlimit=64MiB from=GOMEMLIMIT", "100 to 400"},
		"GOGC wins":                {map[string]string{"GOGC": "50"}, memlimit.Limit(1000 << 20), 900 << 20, -1, "gomemlimit=943718400", "gogc=50 from=GOGC"},
		"both win":                 {map[string]string{"GOGC": "off", "GOMEMLIMIT": "1GiB"}, memlimit.Limit(1 << 30), -1, -1, "gomemlimit=1GiB", "gogc=off"},
		"empty is unset":           {map[string]string{"GOGC": "", "GOMEMLIMIT": ""}, memlimit.Limit(1000 << 20), 900 << 20, 400, "from=cgroup", "100 to 400"},
		"no limit":                 {nil, none(memlimit.ErrNoLimit), -1, 400, "gomemlimit=none", "100 to 400"},
		"no limit, as a number":    {nil, memlimit.Limit(math.MaxUint64), -1, 400, "gomemlimit=none", "100 to 400"},
		"no cgroup":                {nil, none(memlimit.ErrNoCgroup), -1, 400, "gomemlimit=none", "100 to 400"},
		"another system":           {nil, none(memlimit.ErrCgroupsNotSupported), -1, 400, "gomemlimit=none", "100 to 400"},
		"a limit that is not read": {nil, none(errors.New("denied")), -1, 400, "level=WARN msg=\"the memory limit is not known\" error=denied", "100 to 400"},
	} {
		t.Run(name, func(t *testing.T) {
			limit, percent := int64(-1), -1
			var log bytes.Buffer
			memory{
				getenv:     func(name string) string { return c.env[name] },
				limit:      c.limit,
				setLimit:   func(n int64) int64 { limit = n; return 0 },
				setPercent: func(n int) int { percent = n; return 100 },
				collected:  func(func()) {},
			}.tune(slog.New(slog.NewTextHandler(&log, nil)))
			if limit != c.wantLimit || percent != c.wantPercent {
				t.Errorf("limit %d, percent %d", limit, percent)
			}
			for _, want := range []string{c.wantLog, c.wantGog} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log does not say %s:\n%s", want, &log)
				}
			}
		})
	}
}

// TestCollectionFollowsHeap verifies that a large heap grows by less than a small one, and that the growth is set only
// when it changes.
func TestCollectionFollowsHeap(t *testing.T) {
	var collected func()
	var live uint64
	var set []int
	memory{
		getenv:     func(string) string { return "" },
		limit:      memlimit.Limit(1 << 30),
		setLimit:   func(int64) int64 { return 0 },
		setPercent: func(n int) int { set = append(set, n); return 0 },
		live:       func() uint64 { return live },
		collected:  func(f func()) { collected = f },
	}.tune(slog.New(slog.DiscardHandler))
	for _, live = range []uint64{0, 4 << 20, 32 << 20, 64 << 20, 64 << 20, 128 << 20, 1 << 30, 16 << 20} {
		collected()
	}
	if want := []int{400, 200, 100, 400}; !slices.Equal(set, want) {
		t.Errorf("set %v, want %v", set, want)
	}
}

// TestEveryCollectionIsObserved verifies that the function is called after more than one collection.
func TestEveryCollectionIsObserved(t *testing.T) {
	calls := make(chan struct{}, 1)
	afterEachCollection(func() { // until the process ends
		select {
		case calls <- struct{}{}:
		default:
		}
	})
	for range 3 {
		runtime.GC()
		<-calls
	}
	if liveBytes() == 0 {
		t.Error("no live data after a collection")
	}
}
