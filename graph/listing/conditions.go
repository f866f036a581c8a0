package listing

import (
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// Bounds of lists that the gateway filters or orders, and of the arguments for that.
const (
	// MaxEntities is how many entities of a department's list are read.
	MaxEntities = 50_000
	// MaxIDs bounds an argument with ids.
	MaxIDs  = 1000
	maxTags = 100
	// MaxText bounds a text that lists are searched for, in bytes: it is sent in a query string.
	MaxText = 1000
)

// Conditions are the conditions of a filter that the console does not have. Entities satisfy all of them.
type Conditions[T any] struct {
	// IDs are the allowed ids, in lower case; nil: all.
	IDs []string
	// Predicate is the wanted value of a property that follows from other lists; nil: any.
	Predicate *bool

	tags         []string
	silentFor    *int // in seconds; nil: any
	matchNothing bool // an empty list of allowed values matches nothing
	tests        []func(v *T, now time.Time) bool
}

func (c *Conditions[T]) require(test func(v *T, now time.Time) bool) { c.tests = append(c.tests, test) }

// requireTags keeps the entities that have all of the tags; nil: every entity.
func (c *Conditions[T]) requireTags(tags []string, of func(*T) []string) {
	if tags == nil {
		return
	}
	c.tags = tags
	c.require(func(v *T, _ time.Time) bool {
		has := of(v)
		return !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(has, tag) })
	})
}

// IsEmpty reports whether there are no conditions.
func (c *Conditions[T]) IsEmpty() bool {
	return c.IDs == nil && c.Predicate == nil && len(c.tests) == 0
}

// WithoutPredicate returns the conditions that entities satisfy by themselves.
func (c *Conditions[T]) WithoutPredicate() Conditions[T] {
	others := *c
	others.Predicate = nil
	return others
}

// MatchNothing reports whether no entity can satisfy the conditions.
func (c *Conditions[T]) MatchNothing() bool { return c.matchNothing || c.IDs != nil && len(c.IDs) == 0 }

// Check returns the error of bad values.
func (c *Conditions[T]) Check() error {
	if len(c.IDs) > MaxIDs {
		return fault.BadInput("filter.ids", "are %d, more than %d", len(c.IDs), MaxIDs)
	}
	if len(c.tags) > maxTags {
		return fault.BadInput("filter.tags", "are %d, more than %d", len(c.tags), maxTags)
	}
	if c.silentFor != nil {
		if err := CheckSeconds("filter.silentFor", *c.silentFor); err != nil {
			return err
		}
	}
	for _, tag := range c.tags {
		if len(tag) > MaxText {
			return fault.BadInput("filter.tags", "has a text longer than %d bytes", MaxText)
		}
	}
	return nil
}

// CheckSeconds refuses a negative number of seconds.
func CheckSeconds(argument string, seconds int) error {
	if seconds < 0 {
		return fault.BadInput(argument, "%d is negative", seconds)
	}
	return nil
}

// Select returns the entities that satisfy the conditions. now is when the console answered. predicate returns the
// property of an entity; nil if it is not known, which counts as false.
func (c *Conditions[T]) Select(all []*T, now time.Time, id func(*T) string, predicate func(*T) (*bool, error)) ([]*T, error) {
	ids := make(map[string]struct{}, len(c.IDs))
	for _, id := range c.IDs {
		ids[id] = struct{}{}
	}
	selected := make([]*T, 0, len(all))
	for _, v := range all {
		if _, ok := ids[scope.Lower(id(v))]; c.IDs != nil && !ok {
			continue
		}
		if slices.ContainsFunc(c.tests, func(test func(*T, time.Time) bool) bool { return !test(v, now) }) {
			continue
		}
		if c.Predicate != nil {
			is, err := predicate(v)
			if err != nil {
				return nil, err
			}
			if *c.Predicate != (is != nil && *is) {
				continue
			}
		}
		selected = append(selected, v)
	}
	return selected, nil
}
