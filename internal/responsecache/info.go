package responsecache

import "time"

// Source is where an answer came from.
type Source string

// The sources.
const (
	// Loaded: by the read's own load.
	Loaded Source = "loaded"
	// Coalesced: by the load of an identical read under way in this process.
	Coalesced Source = "coalesced"
	// Memory: from this process's memory.
	Memory Source = "memory"
	// Redis: from Redis, by the load of another process.
	Redis Source = "redis"
	// Stale: from memory or Redis, past its Life.
	Stale Source = "stale"
)

// Info describes the result of a read.
type Info struct {
	Source Source
	// Age is how long before this read the load of the value began. It is never too small.
	Age time.Duration
	// Expires is when the answer is no longer fresh. It is in the past if the answer is stale
	// or not cached.
	Expires time.Time
	// Stale says that the answer is past its Life.
	Stale bool
	// Failed is the error of the read's own load, if an older answer was returned for it.
	Failed error
	// Because is why a stale answer was returned: the error of a load, or ErrSlow. It is nil
	// for an answer that is not stale, and within Policy.StaleWhileRevalidate.
	Because error
	// Dependency is what an answer depends on that is made from this one.
	Dependency Dependency
}
