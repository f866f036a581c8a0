package responsecache

import "time"

// EventType is the type of an Event.
type EventType string

// The types of events.
const (
	// Served: a read was answered. Source says from where. Took is the time of a load if
	// Source is Loaded.
	Served EventType = "served"
	// Failed: a read ended with an error of its load. A negative entry from the cache counts
	// as Served.
	Failed EventType = "failed"
	// Evicted: an entry left the memory to keep it within its bound.
	Evicted EventType = "evicted"
	// Unshared: an entry was not written to Redis, since the replica or the principal has
	// reached its storage limit.
	Unshared EventType = "unshared"
	// Invalidated: an invalidation ended. Took is how long the caller waited for the other
	// replicas, and Failed says that it is unconfirmed.
	Invalidated EventType = "invalidated"
	// Leased: this replica has got its lease (or, with Failed, could not get it).
	Leased EventType = "leased"
	// RedisFailed: a Redis command of a read or a write failed.
	RedisFailed EventType = "redis_failed"
)

// Event is something that happened, for metrics. It names no principal, key or tag.
type Event struct {
	Type   EventType
	Kind   string        // the kind's name, where there is one
	Source Source        // of Served
	Took   time.Duration // of Served with Loaded, and of Invalidated
	Failed bool
}

// observe passes an event to Options.Observe.
func (c *Cache) observe(e Event) {
	if c.opts.Observe != nil {
		c.opts.Observe(e)
	}
}
