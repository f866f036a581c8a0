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
	// memoryShare of what the process may use is for Go; the rest is for stacks of the kernel and the like, which the
	// runtime does not count.
	memoryShare = 0.9
	// gcPercent lets the heap grow to five times of what is in use: most of a gateway's garbage is the answers of a
	// moment, and looking through what is kept more often costs more than the memory does. The limit bounds it.
	gcPercent = 400
)

// sampleBytes is how much is allocated from one sample of the heap's profile to the next. Go's own 512 KiB makes it 1,000
// samples a second under load, each a walk through a deep stack, which is 2 % of what an operation costs.
const sampleBytes = 4 << 20

// SampleAllocations sets the rate of the heap's profile, unless GODEBUG=memprofilerate has. It must come before all else,
// as the profile takes the rate for the same throughout.
func SampleAllocations() {
	if runtime.MemProfileRate == 512<<10 {
		runtime.MemProfileRate = sampleBytes
	}
}

// memory is how the runtime's garbage collector is set, which the environment does where it says anything.
type memory struct {
	getenv     func(string) string
	limit      memlimit.Provider // bytes that the process may use
	SetLimit   func(int64) int64
	setPercent func(int) int
}

func RuntimeMemory() memory {
	return memory{os.Getenv, memlimit.FromCgroup, debug.SetMemoryLimit, debug.SetGCPercent}
}

// Tune sets what the environment does not, and logs what holds.
func (m memory) Tune(log *slog.Logger) {
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

func (m memory) tuneLimit(log *slog.Logger) {
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
