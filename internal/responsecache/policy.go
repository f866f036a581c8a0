package responsecache

import (
	"errors"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// Policy is how long answers of one kind serve. Every time counts from the moment
// at which the load that brought the answer began.
type Policy struct {
	// Life is how long an answer is fresh. 0 turns the kind off: every read asks,
	// but identical reads in flight still share one load.
	Life time.Duration
	// StaleWhileRevalidate is how long after its Life an answer is still given, marked
	// stale, while a new one is loaded in the background.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long after its Life who asks is still given an answer, marked stale,
	// where a load fails with an error that is not final.
	StaleIfError time.Duration
	// Negative is how long a negative error (such as "not found") is given again
	// without asking; 0 asks each time. Negatives are kept in memory only.
	Negative time.Duration
}

// maxKept bounds how long anything is kept, so that what the replicas know of
// invalidations (kept for stateLife) outlives every entry.
const maxKept = invalidation.MaxLifetime

// Validate says which time is out of its bounds: none is negative, and Life with
// its windows is at most 12 h.
func (p Policy) Validate() error {
	switch {
	case p.Life < 0 || p.StaleWhileRevalidate < 0 || p.StaleIfError < 0 || p.Negative < 0:
		return errors.New("a time is negative")
	case p.kept() > maxKept || p.Negative > maxKept:
		return fmt.Errorf("kept for longer than %v", maxKept)
	}
	return nil
}

// kept is how long an answer can be of use.
func (p Policy) kept() time.Duration {
	return p.Life + max(p.StaleWhileRevalidate, p.StaleIfError)
}

// Policies is the one table of lifetimes: a Policy per name of a kind.
type Policies map[string]Policy

// Validate says which row is out of its bounds.
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
