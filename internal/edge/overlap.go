package edge

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

const (
	// maxPairs bounds the pairs of fields of one response name that the validator compares: it
	// compares each with each, at some millions a second.
	maxPairs = 300_000
	// maxVisits bounds the selections that are looked at to count them.
	maxVisits = 10 * maxFields
)

// ruleSelections is the validator's rule that a document breaks which is too dear to validate.
const ruleSelections = "SelectionsAreFew"

// validation are the rules of the specification, of which the one that compares fields is
// only asked about documents for which that is soon done.
func validation() *rules.Rules {
	all, merged := rules.NewDefaultRules(), rules.OverlappingFieldsCanBeMergedRule
	all.ReplaceRule(merged.Name, func(document *core.Events, add core.AddErrFunc) {
		asked := false
		document.OnOperation(func(w *core.Walker, op *ast.OperationDefinition) {
			if asked {
				return
			}
			asked = true
			if circular(w.Document) {
				return // which another rule says
			}
			if repeats(w.Document) {
				add(core.Message("the document selects the same fields too often"), core.At(op.Position), func(err *gqlerror.Error) { err.Rule = ruleSelections })
				return
			}
			apart := &core.Events{}
			merged.RuleFunc(apart, add)
			core.Walk(w.Schema, w.Document, apart)
		})
	})
	return all
}

// circular says whether a fragment spreads itself, be it by others.
func circular(document *ast.QueryDocument) bool {
	spreads := make(map[string][]string, len(document.Fragments))
	for _, f := range document.Fragments {
		spreads[f.Name] = spreadIn(f.SelectionSet, nil)
	}
	const open, done = 1, 2
	state := make(map[string]int, len(spreads))
	var follow func(name string) bool
	follow = func(name string) bool {
		switch state[name] {
		case open:
			return true
		case done:
			return false
		}
		state[name] = open
		found := slices.ContainsFunc(spreads[name], follow)
		state[name] = done
		return found
	}
	for name := range spreads {
		if follow(name) {
			return true
		}
	}
	return false
}

// spreadIn appends the names of the fragments that are spread somewhere in a selection.
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

// repeats says whether a document selects so many fields of one response name that to compare
// them takes long.
func repeats(document *ast.QueryDocument) bool {
	c := comparisons{fragments: make(map[string]*ast.FragmentDefinition, len(document.Fragments))}
	for _, f := range document.Fragments {
		c.fragments[f.Name] = f
	}
	for _, op := range document.Operations {
		c.count([]ast.SelectionSet{op.SelectionSet}, 1)
	}
	for _, f := range document.Fragments {
		c.count([]ast.SelectionSet{f.SelectionSet}, 1)
	}
	return c.pairs > maxPairs || c.visits > maxVisits
}

// comparisons counts what the validator would compare, from above.
type comparisons struct {
	fragments map[string]*ast.FragmentDefinition
	pairs     int
	visits    int
}

// count looks at selections whose fields are compared with each other, and at what is below
// those fields, which is compared if they are. The validator begins anew at each level.
func (c *comparisons) count(sets []ast.SelectionSet, level int) {
	below := make(map[string][]ast.SelectionSet)
	spread := make(map[string]bool)
	for _, set := range sets {
		c.collect(set, below, spread)
	}
	for _, fields := range below {
		if c.pairs > maxPairs || c.visits > maxVisits {
			return
		}
		c.pairs += level * len(fields) * (len(fields) - 1) / 2
		c.count(fields, level+1)
	}
}

// collect gathers what is below the fields of a selection, by response name.
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
