package loader

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/trail"
)

// Plan estimates what the operation asks of a console of which nothing is kept: from
// above, as far as the principal in ctx has seen the lengths of its lists. It asks nobody.
// ctx carries the scope of the request, too. It fails where an argument of a query is bad.
func (e *Engine) Plan(ctx context.Context, op *graphql.OperationContext) (trail.Plan, error) {
	named, _ := scope.FromContext(ctx)
	who := principal.FromContext(ctx).Name()
	l := &Loaders{operation: &operation{engine: e, ctx: ctx, who: who, scope: named}}
	all := Selection{op, op.Operation.SelectionSet}
	p := &planner{engine: e, who: who, scope: l.named(), calls: make(map[string]int)}
	switch op.Operation.Operation {
	case ast.Query:
		if err := l.badInput("Query", all, ""); err != nil {
			return trail.Plan{}, err
		}
		p.findScope(all)
		p.walk("Query", all, cardinality{1, 1, 1}, "")
		p.descend()
	case ast.Mutation:
		p.findScope(all)
		for _, f := range all.Fields("Mutation") { // one after the other
			p.change(FieldCall{Field: f, Selection: all.Below(f)})
			p.walk(f.Definition.Type.Name(), all.Below(f), cardinality{1, 1, 1}, f.Alias+".")
			p.descend()
		}
	case ast.Subscription:
		p.findScope(all)
		for _, f := range all.Fields("Subscription") {
			p.watch(f)
			p.walk(f.Definition.Type.Name(), all.Below(f), cardinality{1, 1, 1}, f.Alias+".")
			p.descend()
		}
	}
	for _, s := range p.plan.Steps {
		p.plan.ConsoleCalls += s.Calls
	}
	p.plan.Rounds = p.rounds
	return p.plan, nil
}

// cardinality is how many objects there are of one type at one place of an answer, and over
// how many departments and companies they are spread.
type cardinality struct{ entities, departments, companies int }

// maxCrowd keeps products of nested lists within an int.
const maxCrowd = 1 << 30

func times(a, b int) int {
	if a > 0 && b > maxCrowd/a {
		return maxCrowd
	}
	return a * b
}

// planner is one walk over one operation, level by level as look-ahead goes.
type planner struct {
	engine *Engine
	who    string // the principal's name
	scope  scope.Scope
	plan   trail.Plan
	rounds int            // that the levels so far have taken
	depth  int            // of them, those of the level that is walked
	calls  map[string]int // calls made already for what is asked for once in an operation
	batch  []*batchEstimate
	next   []planned
}

// planned is what the next level begins with.
type planned struct {
	typ   string
	below Selection
	crowd cardinality
	place string
}

// batchEstimate is one level's batch of one kind.
type batchEstimate struct {
	typ         string
	fields      []string
	entities    int
	departments int
	alone       int // entities that come without the batch, by
	calls       int // so many calls
	how         string
}

func (p *planner) descend() {
	p.send()
	for len(p.next) > 0 {
		level := p.next
		p.next = nil
		for _, n := range level {
			p.walk(n.typ, n.below, n.crowd, n.place)
		}
		p.send()
	}
}

// send ends a level.
func (p *planner) send() {
	for _, g := range p.batch {
		calls, rounds, how := 0, 0, g.how
		if g.entities > 0 {
			calls, rounds, how = p.batchCost(g.typ, g.entities, g.departments)
			how = strings.TrimPrefix(g.how+"; "+how, "; ")
		}
		p.step(trail.Step{Kind: kindOf(g.typ), Field: strings.Join(g.fields, ", "), Entities: g.entities + g.alone, Calls: calls + g.calls, How: how}, max(1, rounds))
	}
	p.batch = nil
	p.rounds, p.depth = p.rounds+p.depth, 0
}

// step notes what the level asks for, which takes so many rounds.
func (p *planner) step(s trail.Step, rounds int) {
	s.Round = p.rounds + 1
	p.plan.Steps = append(p.plan.Steps, s)
	if s.Calls > 0 {
		p.depth = max(p.depth, rounds)
	}
}

// gather adds entities to the level's batch of a type.
func (p *planner) gather(typ, field string, entities, departments int) *batchEstimate {
	i := slices.IndexFunc(p.batch, func(g *batchEstimate) bool { return g.typ == typ })
	if i < 0 {
		i = len(p.batch)
		p.batch = append(p.batch, &batchEstimate{typ: typ})
	}
	g := p.batch[i]
	g.fields = append(g.fields, field)
	g.entities = min(g.entities+entities, maxCrowd)
	g.departments = max(g.departments, departments)
	return g
}

// change is what a mutation's field itself takes, call after call.
func (p *planner) change(f FieldCall) {
	calls, how := 1, "the change itself"
	switch f.Field.Name {
	case "signIn", "signOut":
		calls, how = 0, "the SSO is asked, and the console is not"
	case "updatePackage":
		if input, _ := f.Arguments()["input"].(map[string]any); input["etag"] == nil {
			calls, how = 2, "the package's ETag is read, and then the change itself"
		}
	case "uploadPackage":
		calls, how = 2, "the file goes with one call, or between two if it is large or its length is not known"
	}
	p.step(trail.Step{Field: f.Field.Alias, Entities: 1, Calls: calls, How: how}, calls)
	p.rounds, p.depth = p.rounds+p.depth, 0
}

// watch is the look at the console that subscriptions share.
func (p *planner) watch(f graphql.CollectedField) {
	p.step(trail.Step{Kind: kindOf(f.Definition.Type.Name()), Field: f.Alias, Entities: 1, Calls: 1, How: "one look, and one more at each interval, which all who watch the same share"}, 1)
	p.rounds, p.depth = p.rounds+1, 0
}

// findScope is what finding the request's scope takes, where nothing names it.
func (p *planner) findScope(all Selection) {
	company, department := false, false
	for _, f := range all.Fields("Query") {
		switch f.Name {
		case "companies", "company", "signIn", "signOut", "__typename", "__schema", "__type":
		case "viewer", "rootDepartment", "department":
			company = true
		default:
			company, department = true, true
		}
	}
	if company && p.scope.CompanyID == "" {
		p.companies("", "the scope of the request", "the request names no company: one call finds it")
		p.send()
	}
	if department && p.scope.DepartmentID == "" {
		p.perCompany("CompanyUser", "the scope of the request", 1)
		p.send()
	}
}

// walk plans what the selection takes of the console for the objects of type typ.
func (p *planner) walk(typ string, s Selection, objects cardinality, place string) {
	known := p.engine.relations[typ]
	related := make(map[string]int) // entities of a kind that this parent names: its fields name the same ones
	for _, f := range s.Fields(typ) {
		e, ok := known[f.Name]
		if !ok {
			continue
		}
		below, at := s.Below(f), place+f.Alias
		reached := objects.along(typ, f.Name, e.To)
		if e.Inline != nil {
			p.walk(e.To, below, reached, at+".")
			continue
		}
		if entity, ok := strings.CutSuffix(e.To, "Connection"); ok {
			reached = p.list(entity, f, below, objects, at)
		} else {
			p.relation(typ, FieldCall{Field: f, Selection: below}, e, reached, related, at)
		}
		p.next = append(p.next, planned{e.To, below, reached, at + "."})
	}
}

// relation plans a field that leads to single entities.
func (p *planner) relation(typ string, f FieldCall, e Relation, reached cardinality, related map[string]int, at string) {
	switch e.To {
	case "Company":
		name, _ := f.Arguments()["name"].(string)
		p.companies(name, at, "all companies of the caller in one call")
	case "Department", "CompanyUser":
		p.perCompany(e.To, at, reached.companies)
	case "PackageVersion":
		if typ == "Package" {
			return // they came with the package
		}
		p.related("Package", e, reached, related, at)
	case "Robot":
		if typ == "Workflow" {
			p.workflowRobots(reached, at)
			return
		}
		p.related(e.To, e, reached, related, at)
	default:
		p.related(e.To, e, reached, related, at)
	}
}

// related gathers what a field names. Of one parent, fields without arguments that lead
// to the same kind name the same entity.
func (p *planner) related(typ string, e Relation, reached cardinality, related map[string]int, at string) {
	n := reached.entities
	if e.Check == nil {
		n = max(0, n-related[typ])
		related[typ] += n
	}
	p.gather(typ, at, n, reached.departments)
}

// workflowRobots are named by their workflow, if the console sends their ids.
func (p *planner) workflowRobots(reached cardinality, at string) {
	if p.engine.capabilities.sendsRobotIDs() {
		p.gather("Robot", at, reached.entities, reached.departments).how =
			fmt.Sprintf("about %d robots per workflow; a workflow that comes without the ids of its robots takes a call of its own", LikelyRobots)
		return
	}
	g := p.gather("Robot", at, 0, 0)
	g.alone += reached.entities
	g.calls += reached.entities / LikelyRobots
	g.how = "one call per workflow: this console sends no ids of their robots"
}

// companies are asked for once, for each name that they are filtered by.
func (p *planner) companies(name, at, how string) {
	calls := 1 - p.calls["Company "+name]
	p.calls["Company "+name] = 1
	if calls == 0 {
		how = "asked for already"
	}
	p.step(trail.Step{Kind: kindOf("Company"), Field: at, Entities: LikelyCompanies, Calls: calls, How: how}, 1)
}

// perCompany is what each company is asked for once: its tree, or who the caller is there.
func (p *planner) perCompany(typ, at string, companies int) {
	calls := max(0, companies-p.calls[typ])
	p.calls[typ] += calls
	how, entities := "the department tree of each company, one call each", times(companies, LikelyDepartments)
	if typ == "CompanyUser" {
		how, entities = "the caller as a user of each company, one call each", companies
	}
	if calls == 0 {
		how = "asked for already"
	}
	p.step(trail.Step{Kind: kindOf(typ), Field: at, Entities: entities, Calls: calls, How: how}, 1)
}

// along is the crowd that a field leads to.
func (c cardinality) along(typ, field, to string) cardinality {
	n := c.entities
	switch typ + "." + field {
	case "Query.companies":
		return cardinality{LikelyCompanies, LikelyCompanies, LikelyCompanies}
	case "Company.departments":
		n = times(n, LikelyDepartments)
	case "Department.children":
		n = times(n, LikelyChildren)
	case "Workflow.robots":
		n = times(n, LikelyRobots)
	case "Package.versions":
		n = times(n, LikelyVersions)
	case "WorkflowLayout.nodes":
		n = times(n, LikelyNodes)
	case "JobGroup.jobs", "ExecuteWorkflowPayload.jobs", "UpgradeWorkflowsPayload.workflows":
		n = times(n, LikelyJobs)
	}
	switch {
	case to == "Company", to == "CompanyUser":
		return cardinality{c.companies, c.companies, c.companies}
	case to == "Department" && field == "department" && typ != "Query" && typ != "Company":
		n = c.departments
		fallthrough
	case to == "Department":
		return cardinality{n, n, c.companies}
	}
	return cardinality{n, c.departments, c.companies}
}
