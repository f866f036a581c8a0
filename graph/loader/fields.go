package loader

import (
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/selection"
)

// path is the path of a field below another in a dry run.
func (pf *prefetcher) path(parent string, f graphql.CollectedField) string {
	if pf.visit == nil {
		return ""
	}
	return parent + f.Alias + "."
}

// pending is a field, or several that load the same, whose objects lead to the next level.
type pending struct {
	relation Relation
	call     FieldCall // of the first alias
	aliases  []alias
	waits    []Loaded
	reads    []string // types that the field reads beyond its own, in a dry run
}

// alias is a field with the selection below it.
type alias struct {
	below selection.Set
	path  string // in a dry run
	leads bool   // whether the selection reads more of the console
}

// leading returns the aliases whose selections read more of the console.
func (p *pending) leading() []alias {
	return slices.DeleteFunc(slices.Clone(p.aliases), func(a alias) bool { return !a.leads })
}

// more reports whether stages of the field follow.
func (p *pending) more() bool {
	return slices.ContainsFunc(p.waits, func(w Loaded) bool {
		s, ok := w.(staged)
		return ok && s.more()
	})
}

// objects waits for the answers and returns each object in them once.
func (p *pending) objects() []any {
	var objects []any
	seen := make(map[any]struct{})
	for _, wait := range p.waits {
		wait.Visit(func(child any) {
			if _, ok := seen[child]; !ok {
				seen[child] = struct{}{}
				objects = append(objects, child)
			}
		})
	}
	return objects
}

// loadKey is what the fields of a type that load the same have in common.
type loadKey struct {
	field, arguments string
	needs            any
}

// fields returns the selected fields that lead to objects. Fields that load the same are one.
func (pf *prefetcher) fields(typ string, selected []alias) []*pending {
	var all []*pending
	known := make(map[loadKey]*pending)
	relations := pf.loaders.engine.relations[typ]
	named := make(map[string]int) // how many fields have a name
	for _, s := range selected {
		for _, f := range s.below.Fields(typ) {
			named[f.Name]++
		}
	}
	for _, s := range selected {
		for _, f := range s.below.Fields(typ) {
			r, ok := relations[f.Name]
			if !ok || r.Load == nil && r.Inline == nil {
				continue
			}
			c := FieldCall{Field: f, Selection: s.below.Below(f)}
			key := loadKey{field: f.Name}
			if r.Needs != nil && named[f.Name] > 1 {
				key.needs = r.Needs(pf.loaders, c.Selection)
				if len(f.Arguments) > 0 {
					key.arguments = fmt.Sprintf("%#v", c.Arguments())
				}
			}
			p := known[key]
			if p == nil || r.Load != nil && r.Needs == nil {
				p = &pending{relation: r, call: c, reads: r.Reads}
				if pf.visit != nil && r.Leads != nil {
					p.reads = slices.Compact(slices.Sorted(slices.Values(r.Leads(c))))
				}
				known[key] = p
				all = append(all, p)
			}
			p.aliases = append(p.aliases, alias{c.Selection, pf.path(s.path, f), pf.readsMore(r.To, c.Selection)})
		}
	}
	return all
}

// readsMore reports whether a selection on typ reads more of the console.
func (pf *prefetcher) readsMore(typ string, s selection.Set) bool {
	for _, of := range objectTypes(typ) {
		relations := pf.loaders.engine.relations[of]
		for _, f := range s.Fields(of) {
			r, ok := relations[f.Name]
			if ok && (r.Load != nil || pf.readsMore(r.To, s.Below(f))) {
				return true
			}
		}
	}
	return false
}
