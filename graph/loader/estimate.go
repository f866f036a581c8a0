package loader

import (
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/trail"
)

// kindOf is the row of the table of lifetimes under which the console's answers about
// an object type are kept; empty for what is not asked for by itself.
func kindOf(typ string) string {
	switch strings.TrimSuffix(typ, "Connection") {
	case "Company":
		return "companies"
	case "Department":
		return "tree"
	case "CompanyUser":
		return "self"
	case "Package", "PackageVersion":
		return "packages"
	case "Queue":
		return "queues"
	case "Robot":
		return "robots"
	case "Workflow":
		return "workflows"
	case "WorkflowLayout":
		return "layouts"
	default:
		return ""
	}
}

// Kinds are the rows of the table of lifetimes whose answers the root field may be made
// of: those of every field in its selection that asks the console.
func (e *Engine) Kinds(op *graphql.OperationContext, field graphql.CollectedField) []string {
	typ := field.Definition.Type.Name()
	below := Selection{op: op, set: field.Selections}
	var kinds []string
	if _, ok := e.relations["Query"][field.Name]; ok && field.ObjectDefinition != nil && field.ObjectDefinition.Name == "Query" {
		kinds = append(kinds, kindOf(typ))
	}
	kinds = e.reach(kinds, typ, below)
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func (e *Engine) reach(kinds []string, typ string, s Selection) []string {
	for _, f := range s.Fields(typ) {
		known, ok := e.relations[typ][f.Name]
		if !ok {
			continue
		}
		if kind := kindOf(known.To); known.Load != nil && kind != "" {
			kinds = append(kinds, kind)
		}
		kinds = e.reach(kinds, known.To, s.Below(f))
	}
	return kinds
}

// list plans a connection, of which each parent has one, and gives its nodes.
func (p *planner) list(typ string, f graphql.CollectedField, below Selection, parents cardinality, at string) cardinality {
	first, offset := DefaultFirst, 0
	c := FieldCall{Field: f, Selection: below}
	raw := c.Arguments()
	if n, err := graphql.UnmarshalInt(raw["first"]); err == nil && raw["first"] != nil {
		first = min(max(n, 0), MaxFirst)
	}
	if n, err := graphql.UnmarshalInt(raw["offset"]); err == nil && raw["offset"] != nil {
		offset = max(n, 0)
	}
	if after, ok := raw["after"].(string); ok {
		if n, ok := positionOf(after); ok {
			offset = n + 1
		}
	}
	nodes := cardinality{times(parents.entities, first), parents.departments, parents.companies}
	wants := below.connection(typ)
	var how string
	pages := 1
	switch {
	case !wants.nodes && !wants.length:
		return nodes // nothing is asked for
	case !wants.nodes || first == 0:
		how = "the length of the list, by one call"
	default:
		limit := p.engine.capabilities.pageSize(p.who, typ)
		size := pageSizeFor(offset, first, p.engine.capabilities.leastPage(p.who, typ), limit)
		pages = pagesFor(offset, first, size)
		how = fmt.Sprintf("pages of %d, %d of them", size, pages)
		if pages == 1 {
			how = fmt.Sprintf("one page of %d", size)
		}
	}
	if parents.entities > 1 {
		how += fmt.Sprintf("; a list for each of about %d parents", parents.entities)
	}
	p.step(trail.Step{Kind: kindOf(typ), Field: at, Entities: nodes.entities, Calls: times(pages, parents.entities), How: how}, min(pages, 2))
	return nodes
}

// takesIDs says whether the console's lists of a type may take `Ids`, and whether that is known.
func (e *Engine) takesIDs(typ string) (takes, known bool) {
	may := map[string]bool{
		e.kinds.queues.name: e.kinds.queues.ids, e.kinds.robots.name: e.kinds.robots.ids, e.kinds.workflows.name: e.kinds.workflows.ids,
	}
	if !may[typ] {
		return false, true
	}
	return e.capabilities.takesIDs(typ)
}

// batchCost is what a batch of entities takes that are spread over departments, in
// calls and in rounds, as fetch would choose.
func (p *planner) batchCost(typ string, entities, departments int) (calls, rounds int, how string) {
	departments = min(max(1, departments), entities)
	each, sc := (entities+departments-1)/departments, p.scope
	if departments > 1 {
		sc = scope.Scope{} // the lists of several have no one length
	}
	calls, rounds, how = p.oneBatch(typ, each, sc)
	if departments > 1 {
		how += fmt.Sprintf("; in each of about %d departments", departments)
	}
	return times(calls, departments), rounds, how
}

// oneBatch is batchCost in one department.
func (p *planner) oneBatch(typ string, n int, sc scope.Scope) (calls, rounds int, how string) {
	e := p.engine
	limit := e.capabilities.pageSize(p.who, typ)
	length, measured := e.capabilities.listSize(p.who, typ, sc)
	takes, known := e.takesIDs(typ)
	switch {
	case n == 1:
		return 1, 1, "one, by its id"
	case takes || !known:
		chunk := min(limit, e.opts.idsPerURL())
		chunks := pageCount(n, chunk)
		switch {
		case !known:
			calls = chunks
			if measured {
				calls = max(chunks, pageCount(length, limit))
			}
			return calls, min(2, calls), "by the parameter Ids, if the console turns out to take it; else pages of the whole list"
		case !measured || scanCost(length, limit) >= float64(chunks):
			return chunks, 1, fmt.Sprintf("by the parameter Ids, %d at once", chunk)
		}
	}
	return sweepPlan(n, limit, length, measured)
}

// sweepPlan is a batch that the console's whole list answers, unless single gets are cheaper.
func sweepPlan(n, limit, length int, measured bool) (calls, rounds int, how string) {
	switch {
	case measured && scanCost(length, limit) >= float64(n), !measured && n < guessBelow:
		return n, 1, "one by one, by their ids"
	case measured:
		pages := pageCount(length, limit)
		return pages, min(2, pages), fmt.Sprintf("the whole list of %d, by pages of at most %d", length, limit)
	default:
		return 1, 1, "the first page of the whole list, whose length is not known yet; further pages if it has any"
	}
}
