package responsecache

import "time"

// EventType is what an Event tells of.
type EventType string

// The types of events.
const (
	// Served: a read was answered; Source says from where, and for a Loaded one Took is the load's time.
	Served EventType = "served"
	// Failed: a read ended with an error of its load (negatives that are served again are Served).
	Failed EventType = "failed"
	// Evicted: an answer left the memory to keep it within its bound.
	Evicted EventType = "evicted"
	// Unshared: an answer was not laid into Redis, as the replica or the principal has its share there.
	Unshared EventType = "unshared"
	// Invalidated: an Invalidate came to its end; Took is how long the caller had to
	// wait for the other replicas, Failed whether it went unconfirmed.
	Invalidated EventType = "invalidated"
	// Trust: this replica trusts its memory (Failed: it does not), as it did not before.
	Trust EventType = "trust"
	// RedisFailed: a Redis command of a read or a write of an answer failed.
	RedisFailed EventType = "redis_failed"
)

// Event is one thing that happened, for metrics. It names no principal, key or tag.
type Event struct {
	Type   EventType
	Kind   string        // the kind's name, where there is one
	Source Source        // of Served
	Took   time.Duration // of Served with Loaded, and of Invalidated
	Failed bool
}

// observe tells of an event.
func (c *Cache) observe(e Event) {
	if c.opts.Observe != nil {
		c.opts.Observe(e)
	}
}
