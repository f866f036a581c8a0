package loader

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// Plan looks ahead over an operation with empty caches and a console that makes its answers up. It does no I/O and records
// no observations. ctx carries principal and scope of the request. Plan fails if an argument of a query, or of a field
// below a mutation or subscription, is bad.
func (e *Engine) Plan(ctx context.Context, op *graphql.OperationContext) (explain.Plan, error) {
	calls := e.budget(ctx)
	ctx = budget.NewContext(operation.NewContext(ctx, nil), calls)
	d := e.newDryRun(ctx, op)
	all := selection.OfOperation(op)
	var err error
	switch op.Operation.Operation {
	case ast.Query:
		err = d.query(all)
	case ast.Mutation:
		err = d.mutation(all.Fields("Mutation"), all)
	case ast.Subscription:
		err = d.subscription(all.Fields("Subscription"), all)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return explain.Plan{}, err
	}
	if exceeded := calls.Err(); exceeded != nil {
		d.plan.Refused = exceeded.Error()
	}
	d.plan.OrMore = d.plan.Refused != "" || d.console.Truncated()
	return d.plan, nil
}

// dryRun runs look-ahead over an operation without executing it.
type dryRun struct {
	ctx     context.Context //nolint:containedctx // the operation's own
	engine  *Engine         // it reads console
	console *explain.Console
	scope   *batch.Memo[struct{}, scope.Scope]
	plan    explain.Plan
}

func (e *Engine) newDryRun(ctx context.Context, op *graphql.OperationContext) *dryRun {
	who := principal.FromContext(ctx)
	hints := explain.Hints{
		ListSize: func(typ string, sc scope.Scope) (int, bool) {
			return e.capabilities.ListSize(who.Name(), typ, sc)
		},
		SendsRobotIDs: e.capabilities.SendsRobotIDs(),
	}
	requested, _ := scope.FromContext(ctx)
	named := (&state{engine: e, scope: requested}).namedScope()
	hints.Companies, hints.Departments = appendID(hints.Companies, named.CompanyID), appendID(hints.Departments, named.DepartmentID)
	if limits := who.Limits(); limits != nil {
		for _, allowed := range limits.Scopes {
			hints.Companies = appendID(hints.Companies, allowed.CompanyID)
		}
	}
	addNamed(&hints, op.Operation.SelectionSet, op.Variables)
	for _, f := range op.Doc.Fragments {
		addNamed(&hints, f.SelectionSet, op.Variables)
	}
	dry := *e
	dry.cache, dry.capabilities = nil, e.capabilities.ReadOnly()
	d := &dryRun{ctx: ctx, engine: &dry, console: explain.NewConsole(hints), scope: &batch.Memo[struct{}, scope.Scope]{}}
	dry.console, dry.kinds = d.console, newDryKinds(d.console)
	return d
}

// addNamed adds the companies and departments that fields in the set name by id.
func addNamed(hints *explain.Hints, set ast.SelectionSet, variables map[string]any) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.Definition != nil && len(s.Arguments) > 0 {
				id, _ := s.ArgumentMap(variables)["id"].(string)
				switch s.Name {
				case "company":
					hints.Companies = appendID(hints.Companies, id)
				case "department":
					hints.Departments = appendID(hints.Departments, id)
				}
			}
			addNamed(hints, s.SelectionSet, variables)
		case *ast.InlineFragment:
			addNamed(hints, s.SelectionSet, variables)
		case *ast.FragmentSpread: // the document has its fragment
		}
	}
}

// appendID adds an id to ids, unless it is empty or already there.
func appendID(ids []string, id string) []string {
	id = scope.Lower(id)
	if id == "" || slices.Contains(ids, id) {
		return ids
	}
	return append(ids, id)
}

// open returns loaders for an operation, or for one field of a mutation. They share the scope of the request.
func (d *dryRun) open() *Loaders {
	requested, _ := scope.FromContext(d.ctx)
	l := d.engine.Loaders(d.ctx, requested)
	l.requestScope = d.scope
	return l
}

func (d *dryRun) query(all selection.Set) error {
	l := d.open()
	defer l.Close()
	if err := l.checkArguments("Query", all, ""); err != nil {
		return err
	}
	d.lookAhead(l, "Query", all, nil, "")
	return nil
}

// mutation counts the changes and looks ahead over made-up payloads, in order.
func (d *dryRun) mutation(fields []graphql.CollectedField, all selection.Set) error {
	if err := d.checkArguments(fields, all); err != nil {
		return err
	}
	_ = budget.FromContext(d.ctx).Reserve(len(fields)) // the plan reports an error
	for i, f := range fields {
		l := d.open()
		if sc, ok := d.requestScope(l, f); ok && d.change(f, all, len(fields)-i-1) {
			typ := f.Definition.Type.Name()
			d.lookAhead(l, typ, all.Below(f), d.sample(typ, sc), f.Alias+".")
		}
		l.Close()
	}
	return nil
}

// subscription counts the first poll and looks ahead over a made-up event.
func (d *dryRun) subscription(fields []graphql.CollectedField, all selection.Set) error {
	if err := d.checkArguments(fields, all); err != nil {
		return err
	}
	for _, f := range fields {
		l := d.open()
		if sc, ok := d.requestScope(l, f); ok && budget.Send(d.ctx, false) == nil {
			typ := f.Definition.Type.Name()
			d.plan.Rounds++
			d.plan.Add(explain.Step{
				Round: d.plan.Rounds, Kind: d.engine.kindOf(strings.TrimSuffix(typ, "Event")), Field: f.Alias, Entities: 1, Calls: 1,
				How: "one poll, and one more at each interval, which all subscriptions to the same entities share",
			})
			d.lookAhead(l, typ, all.Below(f), d.sample(typ, sc), f.Alias+".")
		}
		l.Close()
	}
	return nil
}

// checkArguments returns the error of the first bad argument below the fields of a mutation or subscription.
func (d *dryRun) checkArguments(fields []graphql.CollectedField, all selection.Set) error {
	l := d.open()
	defer l.Close()
	for _, f := range fields {
		if err := l.checkArguments(f.Definition.Type.Name(), all.Below(f), f.Alias+"."); err != nil {
			return err
		}
	}
	return nil
}

// requestScope returns the scope of the request, as a mutation or subscription needs it. The fields for sessions need none.
func (d *dryRun) requestScope(l *Loaders, f graphql.CollectedField) (sc scope.Scope, ok bool) {
	if f.Name == "signIn" || f.Name == "signOut" {
		return scope.Scope{}, true
	}
	d.console.FindScope(true)
	sc, err := l.RequestScope()()
	d.console.FindScope(false)
	d.recordScope()
	return sc, err == nil
}

// change counts the calls of a mutation's field itself, and reports whether they are in the budget. following is the number
// of fields that follow.
func (d *dryRun) change(f graphql.CollectedField, all selection.Set, following int) bool {
	calls, how := 1, "the change itself"
	switch f.Name {
	case "signIn", "signOut":
		calls, how = 0, "the SSO is called, and the console is not"
	case "updatePackage":
		if input, _ := f.ArgumentMap(all.Variables())["input"].(map[string]any); input["etag"] == nil {
			calls, how = 2, "the package's ETag is read before the change"
		}
	case "uploadPackage":
		calls, how = 3, "the file takes one call, or three if it is large or its length is not known"
	}
	spent := budget.FromContext(d.ctx)
	if spent.Reserve(following+calls) != nil {
		return false
	}
	for range calls {
		_ = budget.Send(d.ctx, true) // they are reserved
	}
	_ = spent.Reserve(following) // not more than before
	d.plan.Rounds += calls
	d.plan.Add(explain.Step{Round: max(1, d.plan.Rounds-calls+1), Field: f.Alias, Entities: 1, Calls: calls, How: how})
	return true
}

// lookAhead looks ahead from an object. A level begins when all calls of the level before have been answered, so that the
// calls of each level are known. An execution does not wait for that.
func (d *dryRun) lookAhead(l *Loaders, typ string, s selection.Set, object any, path string) {
	var fields []visited
	k := newPrefetcher(l)
	k.visit = func(path, typ string) {
		fields = append(fields, visited{strings.TrimSuffix(path, "."), d.engine.kindOf(typ)})
	}
	l.FinishLevel(true)
	k.guard(func() {
		d.console.FindScope(true)
		k.walk(typ, []alias{{below: s, path: path}}, []any{object})
		d.console.FindScope(false)
		d.recordScope()
		k.startLevel(true)
		for {
			for _, waits := range k.waits {
				for _, wait := range waits {
					wait.Visit(func(any) {})
				}
			}
			d.record(fields)
			if len(k.next) == 0 {
				return
			}
			fields = fields[:0]
			k.descendLevel()
		}
	})
	k.end()
}

// visited is a field that may call the console, and the kind of its object.
type visited struct{ path, kind string }

// recordScope adds the calls for the scope of the request. They are made one after the other.
func (d *dryRun) recordScope() {
	for _, c := range d.console.Take() {
		d.plan.Rounds++
		d.step(c, "the scope of the request")
	}
}

// maxPaths bounds the fields that a step names.
const maxPaths = 20

// record adds the calls of a level, which are made at once.
func (d *dryRun) record(fields []visited) {
	calls := d.console.Take()
	if len(calls) > 0 {
		d.plan.Rounds++
	}
	paths := make(map[string][]string)
	for _, f := range fields {
		paths[f.kind] = append(paths[f.kind], f.path)
	}
	for _, c := range calls {
		of := paths[c.Kind]
		if more := len(of) - maxPaths; more > 0 {
			of = append(of[:maxPaths:maxPaths], fmt.Sprintf("and %d more", more))
		}
		d.step(c, strings.Join(of, ", "))
	}
}

func (d *dryRun) step(c explain.Call, field string) {
	d.plan.Add(explain.Step{
		Round: d.plan.Rounds, Kind: c.Kind, Operation: c.Operation, Field: field, Entities: c.Entities, Calls: c.Calls, How: c.How,
	})
}

// sample returns a made-up payload or event of a type, nil if there is none.
func (d *dryRun) sample(typ string, sc scope.Scope) any {
	if d.engine.opts.Sample == nil {
		return nil
	}
	return d.engine.opts.Sample(typ, sc, d.console)
}
