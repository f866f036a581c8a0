package gateway

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryShare is the share of the memory limit for the Go runtime. The rest is for memory that the runtime does
	// not count, such as kernel stacks.
	memoryShare = 0.9
	// gcPercent lets the heap grow to five times the live data. Most garbage is short-lived, and marking the caches
	// more often costs more than the memory. The memory limit bounds the growth.
	gcPercent = 400
)

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

// Memory configures the garbage collector. Environment variables take precedence.
type Memory struct {
	getenv     func(string) string
	limit      memlimit.Provider // bytes that the process may use
	SetLimit   func(int64) int64
	setPercent func(int) int
}

// RuntimeMemory is the memory of this process.
func RuntimeMemory() Memory {
	return Memory{os.Getenv, memlimit.FromCgroup, debug.SetMemoryLimit, debug.SetGCPercent}
}

// Tune applies the defaults that the environment does not override, and logs the values in force.
func (m Memory) Tune(log *slog.Logger) {
	if set := m.getenv("GOMEMLIMIT"); set != "" {
		log.Info("memory limit", "gomemlimit", set, "from", "GOMEMLIMIT")
	} else {
		m.tuneLimit(log)
	}
	if set := m.getenv("GOGC"); set != "" {
		log.Info("garbage collection", "gogc", set, "from", "GOGC")
	} else {
		m.setPercent(gcPercent)
		log.Info("garbage collection", "gogc", gcPercent, "from", "default")
	}
}

func (m Memory) tuneLimit(log *slog.Logger) {
	limit, err := memlimit.ApplyRatio(m.limit, memoryShare)()
	switch {
	case err == nil && limit < math.MaxInt64:
		m.SetLimit(int64(limit))
		log.Info("memory limit", "gomemlimit", limit, "from", "cgroup")
	case err == nil, errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		log.Info("memory limit", "gomemlimit", "none", "from", "cgroup")
	default:
		log.Warn("the memory limit is not known", "error", err)
	}
}
