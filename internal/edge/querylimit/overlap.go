package querylimit

import (
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// maxPairs bounds the pairs of fields with one response name that the validator compares,
	// some millions per second.
	maxPairs = 300_000
	// maxVisits bounds the selections that are visited to count them.
	maxVisits = 10 * maxFields
)

// findCycle returns a fragment that spreads itself, directly or not; nil: there is none.
func findCycle(document *ast.QueryDocument) *ast.FragmentDefinition {
	spreads := make(map[string][]string, len(document.Fragments))
	for _, f := range document.Fragments {
		spreads[f.Name] = spreadIn(f.SelectionSet, spreads[f.Name]) // of all fragments of a name; another rule refuses duplicates
	}
	const open, done = 1, 2
	state := make(map[string]int, len(spreads))
	var follow func(name string) (found string)
	follow = func(name string) string {
		switch state[name] {
		case open:
			return name
		case done:
			return ""
		}
		state[name] = open
		for _, next := range spreads[name] {
			if found := follow(next); found != "" {
				return found
			}
		}
		state[name] = done
		return ""
	}
	for _, f := range document.Fragments {
		if found := follow(f.Name); found != "" {
			return document.Fragments.ForName(found)
		}
	}
	return nil
}

// spreadIn appends the names of the fragments spread in a selection.
func spreadIn(set ast.SelectionSet, names []string) []string {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			names = spreadIn(s.SelectionSet, names)
		case *ast.InlineFragment:
			names = spreadIn(s.SelectionSet, names)
		case *ast.FragmentSpread:
			names = append(names, s.Name)
		}
	}
	return names
}

// countComparisons counts the pairs that the validator would compare in a document.
func countComparisons(document *ast.QueryDocument) *comparisons {
	c := comparisons{fragments: make(map[string]*ast.FragmentDefinition, len(document.Fragments))}
	for _, f := range document.Fragments {
		if c.fragments[f.Name] == nil { // like the validator, take the first of a name
			c.fragments[f.Name] = f
		}
	}
	for _, op := range document.Operations {
		c.count([]ast.SelectionSet{op.SelectionSet}, 1)
	}
	for _, f := range document.Fragments {
		c.count([]ast.SelectionSet{f.SelectionSet}, 1)
	}
	return &c
}

// tooMany reports whether comparing the fields of one response name takes too long.
func (c *comparisons) tooMany() bool { return c.pairs > maxPairs || c.visits > maxVisits }

// comparisons counts the pairs, as an upper bound.
type comparisons struct {
	fragments map[string]*ast.FragmentDefinition
	pairs     int
	visits    int
	widest    int // maximum number of response names of an object with its fragments merged
}

// count visits selections whose fields are compared with each other, and those below fields
// that are compared. The validator starts again at each level.
func (c *comparisons) count(sets []ast.SelectionSet, level int) {
	below := make(map[string][]ast.SelectionSet)
	spread := make(map[string]bool)
	for _, set := range sets {
		c.collect(set, below, spread)
	}
	c.widest = max(c.widest, len(below))
	for _, fields := range below {
		if c.tooMany() {
			return
		}
		c.pairs += level * len(fields) * (len(fields) - 1) / 2
		c.count(fields, level+1)
	}
}

// collect collects the selections below the fields of a selection, by response name.
func (c *comparisons) collect(set ast.SelectionSet, below map[string][]ast.SelectionSet, spread map[string]bool) {
	for _, s := range set {
		if c.visits++; c.visits > maxVisits {
			return
		}
		switch s := s.(type) {
		case *ast.Field:
			below[s.Alias] = append(below[s.Alias], s.SelectionSet)
		case *ast.InlineFragment:
			c.collect(s.SelectionSet, below, spread)
		case *ast.FragmentSpread:
			if f := c.fragments[s.Name]; f != nil && !spread[s.Name] {
				spread[s.Name] = true
				c.collect(f.SelectionSet, below, spread)
			}
		}
	}
}
