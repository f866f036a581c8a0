package responsecache

import "time"

// Source is where an answer came from.
type Source string

// The sources.
const (
	// Loaded: the read's own load.
	Loaded Source = "loaded"
	// Coalesced: the load of an identical read in flight in this process.
	Coalesced Source = "coalesced"
	// Memory: this process's memory.
	Memory Source = "memory"
	// Redis: another process's load.
	Redis Source = "redis"
	// Stale: an answer past its Life, from memory or Redis.
	Stale Source = "stale"
)

// Info is what a read tells beside its value.
type Info struct {
	Source Source
	// Age is how long before this read the load of the value began; never too small.
	Age time.Duration
	// Expires is when the answer is no longer fresh; in the past if it is stale, or not cached.
	Expires time.Time
	// Stale says that the answer is past its Life.
	Stale bool
	// Failed is why an answer of before was given, where it was asked for anew in vain.
	Failed error
	// Dependency is what a later answer that is made from this one depends on.
	Dependency Dependency
}
