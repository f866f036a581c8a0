// Package memorytuning sets the memory limit and the garbage collection of the process, where the environment does not.
package memorytuning

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryShare is the share of the memory limit for the Go runtime. The rest is for memory that the runtime does
	// not count, such as kernel stacks.
	memoryShare = 0.9
	// maxGCPercent lets a small heap grow to five times the live data, as most garbage is short-lived.
	maxGCPercent = 400
	// minGCPercent is Go's default, for a large heap.
	minGCPercent = 100
	// maxGrowth is how much the heap grows between two collections, in bytes, unless minGCPercent is more.
	maxGrowth = 128 << 20
)

// gcPercent returns the growth of a heap with that many bytes of live data.
func gcPercent(live uint64) int {
	return int(min(max(minGCPercent, maxGrowth*100/max(live, 1)), maxGCPercent))
}

// liveBytes returns the bytes of the heap that the last collection found in use.
func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// afterEachCollection calls f after each garbage collection, on a goroutine of the runtime.
func afterEachCollection(f func()) {
	unreachable := new([64]byte) // the next collection finds it
	runtime.AddCleanup(unreachable, func(f func()) {
		f()
		afterEachCollection(f)
	}, f)
}

// sampleBytes is the sampling interval of the heap profile. Go's default of 512 KiB takes 1,000 samples a second
// under load. Each walks a deep stack, in total 2 % of an operation's cost.
const sampleBytes = 4 << 20

// SampleAllocations sets the rate of the heap profile unless GODEBUG=memprofilerate is set. It must run first,
// because the profile assumes a constant rate.
func SampleAllocations() {
	if runtime.MemProfileRate == 512<<10 {
		runtime.MemProfileRate = sampleBytes
	}
}

// memory configures the garbage collector. Environment variables take precedence.
type memory struct {
	getenv     func(string) string
	limit      memlimit.Provider // bytes that the process may use
	setLimit   func(int64) int64
	setPercent func(int) int
	live       func() uint64
	collected  func(func()) // calls a function after each collection
}

// Tune applies the defaults that the environment does not override, and logs the values in force. It returns the memory
// limit of the process, in bytes.
func Tune(log *slog.Logger) (limit int64) {
	m := memory{os.Getenv, memlimit.FromCgroup, debug.SetMemoryLimit, debug.SetGCPercent, liveBytes, afterEachCollection}
	m.tune(log)
	return m.setLimit(-1) // -1 returns the limit without changing it
}

func (m memory) tune(log *slog.Logger) {
	if set := m.getenv("GOMEMLIMIT"); set != "" {
		log.Info("memory limit", "gomemlimit", set, "from", "GOMEMLIMIT")
	} else {
		m.tuneLimit(log)
	}
	if set := m.getenv("GOGC"); set != "" {
		log.Info("garbage collection", "gogc", set, "from", "GOGC")
		return
	}
	percent := maxGCPercent
	m.setPercent(percent)
	m.collected(func() {
		if next := gcPercent(m.live()); next != percent {
			percent = next
			m.setPercent(next)
		}
	})
	log.Info("garbage collection", "gogc", fmt.Sprintf("%d to %d", minGCPercent, maxGCPercent), "from", "default")
}

func (m memory) tuneLimit(log *slog.Logger) {
	limit, err := memlimit.ApplyRatio(m.limit, memoryShare)()
	switch {
	case err == nil && limit < math.MaxInt64:
		m.setLimit(int64(limit))
		log.Info("memory limit", "gomemlimit", limit, "from", "cgroup")
	case err == nil, errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		log.Info("memory limit", "gomemlimit", "none", "from", "cgroup")
	default:
		log.Warn("the memory limit is not known", "error", err)
	}
}
