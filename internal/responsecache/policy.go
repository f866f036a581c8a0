package responsecache

import (
	"errors"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// Policy is how long entries of one kind are used. All times count from the beginning of the
// load.
type Policy struct {
	// Life is how long an entry is fresh. With 0, every read loads, and only identical reads
	// under way share a load.
	Life time.Duration
	// StaleWhileRevalidate is how long after its Life an entry is returned as stale while a new
	// one is loaded in the background (RFC 5861).
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long after its Life an entry is returned as stale if a load fails (RFC
	// 5861). The error must not be final.
	StaleIfError time.Duration
	// Negative is how long a negative error (such as "not found") is returned without a load.
	// With 0 it is not kept. Negative entries are kept in memory only.
	Negative time.Duration
}

// maxTTL bounds how long an entry is kept, so that the replicas' invalidations outlive it.
const maxTTL = invalidation.MaxLifetime

// Validate returns an error if a time is negative, or if Life and its windows exceed 12 h.
func (p Policy) Validate() error {
	switch {
	case p.Life < 0 || p.StaleWhileRevalidate < 0 || p.StaleIfError < 0 || p.Negative < 0:
		return errors.New("a time is negative")
	case max(p.Life, p.StaleWhileRevalidate, p.StaleIfError, p.Negative) > maxTTL || p.lifetime() > maxTTL:
		return fmt.Errorf("kept for longer than %v", maxTTL)
	}
	return nil
}

// lifetime is how long an entry can be of use.
func (p Policy) lifetime() time.Duration {
	return p.Life + max(p.StaleWhileRevalidate, p.StaleIfError)
}

// Policies is the table of lifetimes: one Policy per kind.
type Policies map[string]Policy

// Validate returns an error that names a wrong row.
func (p Policies) Validate() error {
	for kind, policy := range p {
		if kind == "" {
			return errors.New("a policy has no kind")
		}
		if err := policy.Validate(); err != nil {
			return fmt.Errorf("policy of %s: %w", kind, err)
		}
	}
	return nil
}
