package loader_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/relation"
	"github.com/consoleql/consoleql/graph/schema"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// operationOf returns the operation of a document, as gqlgen parses it.
func operationOf(t *testing.T, document string, variables map[string]any) *graphql.OperationContext {
	t.Helper()
	doc, errs := gqlparser.LoadQueryWithRules(gqlparser.MustLoadSchema(schema.Sources()...), document, rules.NewDefaultRules())
	if errs != nil {
		t.Fatal(errs)
	}
	return &graphql.OperationContext{Doc: doc, Operation: doc.Operations[0], Variables: variables}
}

// firstPrincipal is the principal whose answers the tests learn from.
var firstPrincipal = principal.FromToken("ann")

// noConsole panics if it is called.
type noConsole struct{ loader.Console }

func newTestEngine(t *testing.T) *loader.Engine {
	t.Helper()
	e, err := loader.New(noConsole{}, relation.Table(), loader.Options{Sample: relation.Sample, Default: scope.Scope{CompanyID: "c", DepartmentID: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestKinds(t *testing.T) {
	e := newTestEngine(t)
	for name, tt := range map[string]struct {
		document  string
		variables map[string]any
		want      []string
	}{
		"a list":                    {`{ workflows { totalCount } }`, nil, []string{"workflows"}},
		"a join":                    {`{ workflows { nodes { version { version } robots { id } queue { id } } } }`, nil, []string{"packages", "queues", "robots", "workflows"}},
		"the tree":                  {`{ companies { departments { children { workflowLayouts { nodes { id } } } } } }`, nil, []string{"companies", "layouts", "tree"}},
		"fragments":                 {`{ viewer { ...f } } fragment f on CompanyUser { ... { assignedDepartment { name } } }`, nil, []string{"self", "tree"}},
		"skipped":                   {`query ($no: Boolean!) { workflows { nodes { id queue @skip(if: $no) { id } } } }`, map[string]any{"no": true}, []string{"workflows"}},
		"not skipped":               {`query ($no: Boolean!) { workflows { nodes { id queue @skip(if: $no) { id } } } }`, map[string]any{"no": false}, []string{"queues", "workflows"}},
		"not included":              {`query ($yes: Boolean!) { workflows { nodes { id queue @include(if: $yes) { id } } } }`, map[string]any{"yes": false}, []string{"workflows"}},
		"nothing of the console":    {`{ __typename }`, nil, nil},
		"a change":                  {`mutation { deleteWorkflow(input: {id: "00000000-0000-4000-8000-000000000000"}) { deletedId } }`, nil, nil},
		"what a change leads on to": {`mutation { updateWorkflow(input: {id: "00000000-0000-4000-8000-000000000000"}) { workflow { queue { id } } } }`, nil, []string{"queues", "workflows"}},
	} {
		t.Run(name, func(t *testing.T) {
			op := operationOf(t, tt.document, tt.variables)
			root := "Query"
			if op.Operation.Operation == ast.Mutation {
				root = "Mutation"
			}
			fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{root})
			if got := e.Kinds(op, fields[0]); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestKindsOfAllTypes verifies that the map of types to kinds is complete.
func TestKindsOfAllTypes(t *testing.T) {
	engine := newTestEngine(t)
	for typ, fields := range relation.Table() {
		for name, e := range fields {
			if e.Load == nil || e.To == "Node" { // a Node has the kind of its type
				continue
			}
			for _, to := range append([]string{e.To}, e.Reads...) {
				if engine.KindOf(to) == "" && (to != e.To || len(e.Reads) == 0) {
					t.Errorf("%s.%s leads to %s, which has no kind", typ, name, to)
				}
			}
		}
	}
}

// TestPlanIsolatesPrincipals verifies that a plan does not depend on the answers to another
// principal.
func TestPlanIsolatesPrincipals(t *testing.T) {
	const document = `{ workflows(first: 50) { nodes { package { name } queue { name } } } }`
	sc := scope.Scope{CompanyID: "c", DepartmentID: "d"}
	plan := func(e *loader.Engine, p principal.Principal) explain.Plan {
		t.Helper()
		got, err := e.Plan(principal.NewContext(scope.NewContext(t.Context(), sc), p), operationOf(t, document, nil))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	e := newTestEngine(t)
	others := []principal.Principal{{}, principal.FromToken("bob"), principal.FromSession("cqs_bob"), principal.DefaultService()}
	before := plan(e, firstPrincipal)
	for _, kind := range []string{"Workflow", "Package", "Queue"} {
		e.ObserveListSize(firstPrincipal.Name(), kind, sc, 1234)
		e.ObserveClamp(firstPrincipal.Name(), kind, 37)
	}
	if cmp.Equal(before, plan(e, firstPrincipal)) {
		t.Error("a plan does not use what its own principal was answered")
	}
	for _, other := range others {
		if diff := cmp.Diff(before, plan(e, other)); diff != "" {
			t.Errorf("%s sees another's lists: %s", other.Credential(), diff)
		}
	}
}

// TestPlanRecordsNoCapabilities verifies that made-up answers of a plan are not taken for the console's.
func TestPlanRecordsNoCapabilities(t *testing.T) {
	sc := scope.Scope{CompanyID: "c", DepartmentID: "d"}
	plan := func(e *loader.Engine, document string) explain.Plan {
		t.Helper()
		got, err := e.Plan(principal.NewContext(scope.NewContext(t.Context(), sc), firstPrincipal), operationOf(t, document, nil))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	documents := []string{
		`{ workflows(first: 50) { nodes { package { name } queue { name } robots { name } } } }`,
		`{ queues(first: 500) { totalCount nodes { robots(first: 5) { totalCount } } } packages { nodes { name } } }`,
		`{ companies { departments { name } viewer { name } } }`,
	}
	e := newTestEngine(t)
	for range 2 {
		for _, document := range documents {
			if diff := cmp.Diff(plan(newTestEngine(t), document), plan(e, document)); diff != "" {
				t.Errorf("%s: after other plans:\n%s", document, diff)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	for name, tt := range map[string]struct {
		document     string
		capabilities func(*loader.Engine)
		scope        scope.Scope
		want         []explain.Step // How is left out
	}{
		"nothing": {document: `{ __typename }`},
		"a list": {document: `{ w: workflows(first: 50) { nodes { id } } }`, want: []explain.Step{
			{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "w", Entities: 50, Calls: 1},
		}},
		"small pages": {
			document: `{ workflows(first: 50) { nodes { id } } }`, capabilities: func(k *loader.Engine) { k.ObserveClamp(firstPrincipal.Name(), "Workflow", 20) },
			want: []explain.Step{{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "workflows", Entities: 51, Calls: 3}},
		},
		"a connection of which nothing is taken": {document: `{ workflows(first: 50) { __typename } }`},
		"no Ids": {
			document: `{ workflows(first: 50) { nodes { queue { id } } } }`,
			capabilities: func(k *loader.Engine) {
				k.ObserveIDs("Queue", false)
				k.ObserveListSize(firstPrincipal.Name(), "Queue", scope.Scope{CompanyID: "c", DepartmentID: "d"}, 1200)
			},
			want: []explain.Step{
				{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "workflows", Entities: 50, Calls: 1},
				{Round: 2, Kind: "queues", Operation: cc.OpQueues, Field: "workflows.nodes.queue", Entities: 1200, Calls: 3},
			},
		},
		"Ids": {
			document: `{ workflows(first: 50) { nodes { robots { id } } } }`, capabilities: func(k *loader.Engine) { k.ObserveIDs("Robot", true) },
			want: []explain.Step{
				{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "workflows", Entities: 50, Calls: 1},
				{Round: 2, Kind: "robots", Operation: cc.OpRobots, Field: "workflows.nodes.robots", Entities: 250, Calls: 2},
			},
		},
		"a console that sends no ids of robots": {
			document: `{ workflows(first: 50) { nodes { robots { id } } } }`, capabilities: func(k *loader.Engine) { k.ObserveIDs(capabilities.RobotIDs, false) },
			want: []explain.Step{
				{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "workflows", Entities: 50, Calls: 1},
				{Round: 2, Kind: "robots", Operation: cc.OpWorkflowRobots, Field: "workflows.nodes.robots", Entities: 250, Calls: 50},
			},
		},
		"one batch of what one parent names twice": {document: `{ workflows(first: 5) { nodes { package { id } version { id } } } }`, want: []explain.Step{
			{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "workflows", Entities: 5, Calls: 1},
			{Round: 2, Kind: "packages", Operation: cc.OpPackages, Field: "workflows.nodes.package, workflows.nodes.version", Entities: 100, Calls: 1},
		}},
		"one tree": {document: `{ workflows(first: 5) { nodes { department { name parent { name } } } } }`, want: []explain.Step{
			{Round: 1, Kind: "workflows", Operation: cc.OpWorkflows, Field: "workflows", Entities: 5, Calls: 1},
			{Round: 2, Kind: "tree", Operation: cc.OpDepartmentTree, Field: "workflows.nodes.department", Entities: 20, Calls: 1},
		}},
		"a change": {document: `mutation { updateWorkflow(input: {id: "00000000-0000-4000-8000-000000000000"}) { workflow { name queue { name } } } }`, want: []explain.Step{
			{Round: 1, Field: "updateWorkflow", Entities: 1, Calls: 1},
			{Round: 2, Kind: "workflows", Operation: cc.OpWorkflow, Field: "updateWorkflow.workflow", Entities: 1, Calls: 1},
			{Round: 3, Kind: "queues", Operation: cc.OpQueue, Field: "updateWorkflow.workflow.queue", Entities: 1, Calls: 1},
		}},
		"a change of which the id is selected": {document: `mutation { updateWorkflow(input: {id: "00000000-0000-4000-8000-000000000000"}) { workflow { id } } }`, want: []explain.Step{
			{Round: 1, Field: "updateWorkflow", Entities: 1, Calls: 1},
		}},
		"two changes": {document: `mutation { a: deleteQueue(input: {id: "00000000-0000-4000-8000-000000000000"}) { deletedId } b: executeWorkflow(input: {id: "00000000-0000-4000-8000-000000000000"}) { jobs { queue { id } } } }`, want: []explain.Step{
			{Round: 1, Field: "a", Entities: 1, Calls: 1},
			{Round: 2, Field: "b", Entities: 1, Calls: 1},
			{Round: 3, Kind: "queues", Operation: cc.OpQueues, Field: "b.jobs.queue", Entities: 10, Calls: 1},
		}},
		"a subscription": {document: `subscription { workflowEvents { workflow { package { name } } } }`, want: []explain.Step{
			{Round: 1, Kind: "workflows", Field: "workflowEvents", Entities: 1, Calls: 1},
			{Round: 2, Kind: "packages", Operation: cc.OpPackage, Field: "workflowEvents.workflow.package", Entities: 1, Calls: 1},
		}},
		"a department that is named": {document: `{ department(id: "00000000-0000-4000-8000-000000000000") { robots(first: 3) { nodes { id } } } }`, want: []explain.Step{
			{Round: 1, Kind: "tree", Operation: cc.OpDepartmentTree, Field: "department", Entities: 20, Calls: 1},
			{Round: 2, Kind: "robots", Operation: cc.OpRobots, Field: "department.robots", Entities: 3, Calls: 1},
		}},
		"a company that is named": {document: `{ company(id: "00000000-0000-4000-8000-000000000000") { departments { queues(first: 3) { nodes { id } } } } }`, want: []explain.Step{
			{Round: 1, Kind: "companies", Operation: cc.OpCompanies, Field: "company", Entities: 5, Calls: 1},
			{Round: 2, Kind: "tree", Operation: cc.OpDepartmentTree, Field: "company.departments", Entities: 20, Calls: 1},
			{Round: 3, Kind: "queues", Operation: cc.OpQueues, Field: "company.departments.queues", Entities: 60, Calls: 20},
		}},
		"one list of two fields": {document: `{ a: queues(first: 3) { nodes { id } } b: queues(first: 4) { nodes { id } } }`, want: []explain.Step{
			{Round: 1, Kind: "queues", Operation: cc.OpQueues, Field: "a, b", Entities: 7, Calls: 2},
		}},
		"a short list": {
			document: `{ queues { nodes { robots(first: 2) { totalCount } } } }`,
			capabilities: func(k *loader.Engine) {
				k.ObserveListSize(firstPrincipal.Name(), "Queue", scope.Scope{CompanyID: "c", DepartmentID: "d"}, 4)
			},
			want: []explain.Step{
				{Round: 1, Kind: "queues", Operation: cc.OpQueues, Field: "queues", Entities: 4, Calls: 1},
				{Round: 2, Kind: "robots", Operation: cc.OpRobots, Field: "queues.nodes.robots", Entities: 4, Calls: 4},
			},
		},
		"a change that reads an ETag first": {document: `mutation { updatePackage(input: {id: "00000000-0000-4000-8000-000000000000", tags: []}) { __typename } }`, want: []explain.Step{
			{Round: 1, Field: "updatePackage", Entities: 1, Calls: 2},
		}},
		"a change with an ETag": {document: `mutation { updatePackage(input: {id: "00000000-0000-4000-8000-000000000000", etag: "e"}) { __typename } }`, want: []explain.Step{
			{Round: 1, Field: "updatePackage", Entities: 1, Calls: 1},
		}},
		"a session": {document: `mutation { signOut { ok } }`, want: []explain.Step{{Round: 1, Field: "signOut", Entities: 1, Calls: 0}}},
		"a list per parent": {document: `{ queues(first: 3) { nodes { robots(first: 2) { nodes { id } } } } }`, want: []explain.Step{
			{Round: 1, Kind: "queues", Operation: cc.OpQueues, Field: "queues", Entities: 3, Calls: 1},
			{Round: 2, Kind: "robots", Operation: cc.OpRobots, Field: "queues.nodes.robots", Entities: 6, Calls: 3},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newTestEngine(t)
			if tt.capabilities != nil {
				tt.capabilities(e)
			}
			op := operationOf(t, tt.document, nil)
			ctx := principal.NewContext(scope.NewContext(t.Context(), tt.scope), firstPrincipal)
			p, err := e.Plan(ctx, op)
			if err != nil {
				t.Fatal(err)
			}
			calls, rounds := 0, 0
			for i := range p.Steps {
				if p.Steps[i].How == "" {
					t.Errorf("step %d does not say how", i)
				}
				p.Steps[i].How = ""
				calls += p.Steps[i].Calls
				rounds = max(rounds, p.Steps[i].Round)
			}
			if diff := cmp.Diff(tt.want, p.Steps); diff != "" {
				t.Errorf("- want + planned:\n%s", diff)
			}
			if p.ConsoleCalls != calls || p.Rounds > rounds+1 {
				t.Errorf("%d calls in %d rounds, the steps say %d in %d", p.ConsoleCalls, p.Rounds, calls, rounds)
			}
		})
	}
}

// TestPlanFindsScope verifies that a plan finds the scope of a request that names none.
func TestPlanFindsScope(t *testing.T) {
	e, err := loader.New(noConsole{}, relation.Table(), loader.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Plan(context.Background(), operationOf(t, `{ workflows(first: 1) { nodes { id } } }`, nil))
	if err != nil || p.ConsoleCalls != 3 || p.Rounds != 3 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPlanWithBadArgument(t *testing.T) {
	e := newTestEngine(t)
	if p, err := e.Plan(context.Background(), operationOf(t, `{ workflows(first: -1) { nodes { id } } }`, nil)); err == nil {
		t.Errorf("planned %+v", p)
	}
}

// TestPlanIsBounded verifies the bounds of a plan: console calls, and made-up entities.
func TestPlanIsBounded(t *testing.T) {
	const lists = `{ queues(first: 500) { nodes { robots(first: 500) { nodes { name } } } } }`
	for name, tt := range map[string]struct {
		document string
		calls    int // that the operation may make
		want     int
		orMore   bool
		refused  string
	}{
		"many entities":   {lists, 2000, 501, true, ""},
		"many calls":      {lists, 100, 1, true, "needs 501 console calls or more, and may make 100"},
		"a deep tree":     {`{ companies { departments { workflows(first: 500) { nodes { package { workflows(first: 500) { nodes { queue { robots(first: 500) { nodes { id } } } } } } } } } } }`, 2000, 106, true, "console calls or more"},
		"few of both":     {`{ queues(first: 5) { nodes { robots(first: 5) { nodes { name } } } } }`, 2000, 6, false, ""},
		"too many writes": {`mutation { a: signOut { ok } b: deleteQueue(input: {id: "00000000-0000-4000-8000-000000000000"}) { deletedId } c: deleteQueue(input: {id: "00000000-0000-4000-8000-000000000001"}) { deletedId } }`, 1, 0, true, "may make 1"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := loader.New(noConsole{}, relation.Table(), loader.Options{Sample: relation.Sample, Calls: tt.calls, Default: scope.Scope{CompanyID: "c", DepartmentID: "d"}})
			if err != nil {
				t.Fatal(err)
			}
			var p explain.Plan
			allocations := testing.AllocsPerRun(1, func() {
				p, err = e.Plan(t.Context(), operationOf(t, tt.document, nil))
			})
			if err != nil {
				t.Fatal(err)
			}
			if p.ConsoleCalls < tt.want || p.ConsoleCalls > tt.calls || p.OrMore != tt.orMore || !strings.Contains(p.Refused, tt.refused) || (p.Refused == "") != (tt.refused == "") {
				t.Errorf("%d calls, or more: %v, refused: %q", p.ConsoleCalls, p.OrMore, p.Refused)
			}
			if allocations > 500_000 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}
