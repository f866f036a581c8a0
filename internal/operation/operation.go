// Package operation holds the state of one operation: what its reads may be answered with, and the reads that it made. The
// state gives the source and age of each read, and the dependencies of an answer composed of them.
package operation

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// ReadOptions restricts what reads may be answered with. The zero value accepts any cached answer.
type ReadOptions struct {
	// Refresh bypasses the cache (Cache-Control: no-cache).
	Refresh bool
	// RefreshID identifies a refresh that marks older entries as stale when all reads have ended. 0: none.
	RefreshID responsecache.RefreshID
	// MaxAge, if positive, rejects entries whose load began longer ago.
	MaxAge time.Duration
	// Batches enables AddBatch. Operations that nobody traces skip the counting.
	Batches bool
}

// Read is one read of the console or of the cache.
type Read struct {
	// Operation is the method and path in the console's document, such as "GET /openapi/robots".
	Operation string
	// Kind is the kind in the table of lifetimes.
	Kind string
	// Source is where the answer came from. For a failed read it is Loaded if the read's own call failed, else empty.
	Source responsecache.Source
	// Began and Duration are those of the read as its operation waited for it.
	Began    time.Time
	Duration time.Duration
	// Loaded is when the load of the answer began.
	Loaded time.Time
	// Stale reports that the answer is older than its lifetime.
	Stale bool
	// Status is the HTTP status of the console's error response; 0 if there was none.
	Status int
	// Code is the code of the read's error; empty for a success.
	Code fault.Code
	// ServedStaleOnError reports that a refresh failed and an older answer was served. Status and Code describe the
	// failure.
	ServedStaleOnError bool
	// StaleReason is why a stale answer was served. It is empty for a fresh answer, and for one within its
	// stale-while-revalidate window.
	StaleReason StaleReason
	// Dependency holds what invalidates the answer.
	Dependency responsecache.Dependency
}

// StaleReason is the value of extensions.stale.reason (docs/errors.md).
type StaleReason string

// The reasons.
const (
	StaleOnError StaleReason = "ERROR"  // the console failed
	StaleOnSlow  StaleReason = "SLOW"   // the console has not answered yet
	StaleOnPause StaleReason = "PAUSED" // the console asked to wait
)

// Batch is one batch of a dataloader.
type Batch struct {
	// Type is the type's name in the schema.
	Type string
	// Keys is the number of requested entities. Cached is how many of them the operation or the cache already held.
	Keys, Cached int
}

// State is the state of one operation. It is safe for concurrent use. A nil State records nothing.
type State struct {
	options   ReadOptions
	staleWait responsecache.StaleWait

	mu          sync.Mutex
	begun       bool
	reads       []Read
	restart     int // the number of reads before the operation last restarted
	batches     []Batch
	query       bool
	uncacheable bool
	summary     *Summary
	expiredTags []string
}

// New returns an empty State with the given read options.
func New(options ReadOptions) *State { return &State{options: options} }

// Options returns the read options of the operation.
func (st *State) Options() ReadOptions {
	if st == nil {
		return ReadOptions{}
	}
	return st.options
}

// StaleWait is shared by all reads of the operation; nil: they wait for their loads.
func (st *State) StaleWait() *responsecache.StaleWait {
	if st == nil {
		return nil
	}
	return &st.staleWait
}

// Stale returns the age of the oldest stale answer that the operation got since it last restarted, and the reason. The
// console failed, was slow or asked to wait. The reason is empty if there is no stale answer.
func (st *State) Stale() (age time.Duration, reason StaleReason) {
	if st == nil {
		return 0, ""
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, r := range st.reads[st.restart:] {
		if r.StaleReason != "" && (reason == "" || time.Since(r.Loaded) > age) {
			age, reason = time.Since(r.Loaded), r.StaleReason
		}
	}
	return age, reason
}

// Begin reports whether the caller makes the operation's first read.
func (st *State) Begin() bool {
	if st == nil {
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	first := !st.begun
	st.begun = true
	return first
}

// ExpireTag records a tag of entries older than those that the operation has refreshed.
func (st *State) ExpireTag(tag string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !slices.Contains(st.expiredTags, tag) {
		st.expiredTags = append(st.expiredTags, tag)
	}
}

// ExpiredTags returns the tags that ExpireTag recorded.
func (st *State) ExpiredTags() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.expiredTags)
}

// Add records a read that has ended.
func (st *State) Add(r Read) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.reads = append(st.reads, r)
}

// AddBatch records a batch before it is loaded.
func (st *State) AddBatch(b Batch) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.batches = append(st.batches, b)
}

// SetResult records whether the operation is a query, and whether its answer is uncacheable.
func (st *State) SetResult(query, uncacheable bool) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.query, st.uncacheable = query, st.uncacheable || uncacheable
}

// Result returns what SetResult recorded. Before that, both values are false.
func (st *State) Result() (query, uncacheable bool) {
	if st == nil {
		return false, false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.query, st.uncacheable
}

// SetSummary records the description of the operation and its answer.
func (st *State) SetSummary(s *Summary) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.summary = s
}

// Summary returns what SetSummary recorded; nil before that.
func (st *State) Summary() *Summary {
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.summary
}

// Calls returns the number of console calls that the recorded reads and changes made.
func (st *State) Calls() int {
	if st == nil {
		return 0
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return CountCalls(st.reads)
}

// CountCalls returns the number of console calls that these reads made.
func CountCalls(reads []Read) int {
	n := 0
	for _, r := range reads {
		if r.Source == responsecache.Loaded || r.ServedStaleOnError {
			n++
		}
	}
	return n
}

// Reads returns the recorded reads in the order in which they ended.
func (st *State) Reads() []Read {
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.reads)
}

// Batches returns the recorded batches.
func (st *State) Batches() []Batch {
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.batches)
}

// Restart records that the operation is executed again from its beginning. Its answer depends on later reads only.
func (st *State) Restart() {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.restart, st.uncacheable = len(st.reads), false
}

// Dependency returns the combined dependency of all reads. It is invalid if there were no reads, or if the failure of a
// read cannot be cached.
func (st *State) Dependency() responsecache.Dependency {
	if st == nil {
		return responsecache.Dependency{}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	reads := st.reads[st.restart:]
	all := make([]responsecache.Dependency, len(reads))
	for i, r := range reads {
		all[i] = r.Dependency
	}
	return responsecache.Combine(all...)
}

type contextKey struct{}

// NewContext returns ctx with the state of its operation.
func NewContext(ctx context.Context, state *State) context.Context {
	return context.WithValue(ctx, contextKey{}, state)
}

// FromContext returns the state of the operation in ctx, or nil.
func FromContext(ctx context.Context) *State {
	state, _ := ctx.Value(contextKey{}).(*State)
	return state
}
