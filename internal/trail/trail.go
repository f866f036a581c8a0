// Package trail says what one operation's reads of the console may be answered with,
// and keeps what they were: from where, how old, and what an answer that is made of
// them depends on.
package trail

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// ReadOptions is what reads may be answered with, and what is noted beside them. The zero value
// takes whatever is kept.
type ReadOptions struct {
	// Refresh asks the console anew, whatever is kept (Cache-Control: no-cache).
	Refresh bool
	// RefreshID is for whom, if what was kept before is to be outdated when all has been read.
	RefreshID responsecache.RefreshID
	// MaxAge, if positive, takes nothing whose load began longer ago.
	MaxAge time.Duration
	// Batches lets those who ask for entities together count them for AddBatch: an
	// operation that nobody wants explained is spared that.
	Batches bool
}

// Read is one read of the console, or of what is kept of it.
type Read struct {
	// Operation is the document's method and path: "GET /openapi/robots".
	Operation string
	// Kind is the row of the table of lifetimes.
	Kind string
	// Source is where the answer came from; of a read that failed, loaded where the
	// read's own call did, else empty.
	Source responsecache.Source
	// Began and Duration are those of the read, as its operation had to wait for it.
	Began    time.Time
	Duration time.Duration
	// Loaded is when the console was asked for what was answered.
	Loaded time.Time
	// Stale says that the answer is past its life.
	Stale bool
	// Status is the HTTP status of a console that refused; 0 where it did not.
	Status int
	// Code is that of the read's error; empty for a success.
	Code fault.Code
	// ServedStaleOnError says that the answer is one of before, as the console was asked anew and failed:
	// Status and Code tell how.
	ServedStaleOnError bool
	// Dependency is what ends the answer.
	Dependency responsecache.Dependency
}

// Batch is what a dataloader asked for at once.
type Batch struct {
	// Kind is the type's name in the schema.
	Kind string
	// Keys is how many entities were asked for; Kept, how many of them the operation,
	// or the cache, held already.
	Keys, Kept int
}

// State is one operation's. It is safe for concurrent use; a nil one keeps nothing.
type State struct {
	wish ReadOptions

	mu      sync.Mutex
	begun   bool
	reads   []Read
	restart int // how many reads were made before the operation was last begun again
	batches []Batch
	query   bool
	spoiled bool
	old     []string
}

// New returns an empty trail.
func New(w ReadOptions) *State { return &State{wish: w} }

// Options is what the operation's reads may be answered with.
func (t *State) Options() ReadOptions {
	if t == nil {
		return ReadOptions{}
	}
	return t.wish
}

// Begin returns whether the operation's first read is about to be made.
func (t *State) Begin() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.begun
	t.begun = true
	return first
}

// Outdate notes a tag of what is older than what the operation has read anew.
func (t *State) Outdate(tag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.old, tag) {
		t.old = append(t.old, tag)
	}
}

// Outdated are the tags that Outdate noted.
func (t *State) Outdated() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.old)
}

// Add notes a read that has ended.
func (t *State) Add(r Read) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads = append(t.reads, r)
}

// AddBatch notes a batch that is about to be asked for.
func (t *State) AddBatch(b Batch) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches = append(t.batches, b)
}

// Answered notes how the operation came out: whether it is a query, and whether its
// answer is worth nothing beyond this request.
func (t *State) Answered(query, spoiled bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.query, t.spoiled = query, t.spoiled || spoiled
}

// Outcome is what Answered noted; without it, the operation was no query.
func (t *State) Outcome() (query, spoiled bool) {
	if t == nil {
		return false, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.query, t.spoiled
}

// Reads are those noted so far, in the order in which they ended.
func (t *State) Reads() []Read {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.reads)
}

// Batches are those noted so far.
func (t *State) Batches() []Batch {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.batches)
}

// Restart notes that the operation is executed again from its beginning: its answer is
// made of later reads only.
func (t *State) Restart() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.restart, t.spoiled = len(t.reads), false
}

// Dependency is what an answer made of all the reads depends on. It is never valid
// where there was no read, and where one failed with what is not kept either.
func (t *State) Dependency() responsecache.Dependency {
	if t == nil {
		return responsecache.Dependency{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	reads := t.reads[t.restart:]
	all := make([]responsecache.Dependency, len(reads))
	for i, r := range reads {
		all[i] = r.Dependency
	}
	return responsecache.Combine(all...)
}

type contextKey struct{}

// NewContext returns ctx with the operation's trail.
func NewContext(ctx context.Context, t *State) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext is the operation's trail; nil where there is none.
func FromContext(ctx context.Context) *State {
	t, _ := ctx.Value(contextKey{}).(*State)
	return t
}
