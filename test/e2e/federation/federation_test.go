package federation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

const entities = `query($representations: [_Any!]!) { _entities(representations: $representations) { typename: __typename
	... on Company { company: id } ... on Department { department: id } ... on Package { package: id } ... on Queue { queue: id }
	... on Robot { robot: id name status } ... on Workflow { workflow: id } ... on WorkflowLayout { workflowLayout: id } } }`

// entitiesAnswer is an answer of _entities.
type entitiesAnswer struct {
	Entities []*struct{ Typename, Company, Department, Package, Queue, Robot, Name, Workflow, WorkflowLayout string } `json:"_entities"`
}

// on makes the gateway a subgraph.
func on(s *gateway.Settings, _ *consolesim.Server) { s.Federation = "on" }

// representation returns a representation with the members that are not empty.
func representation(typ, id, company, department string) map[string]any {
	r := map[string]any{"__typename": typ, "id": id}
	if company != "" {
		r["companyId"] = company
	}
	if department != "" {
		r["departmentId"] = department
	}
	return r
}

func ask(w *e2e.World, representations ...any) (entitiesAnswer, e2e.Answer) {
	w.T.Helper()
	a := w.Ask(entities, e2e.Request{Variables: map[string]any{"representations": representations}})
	if len(a.Data) == 0 || string(a.Data) == "null" {
		return entitiesAnswer{}, a
	}
	return e2e.Decode[entitiesAnswer](w.T, a.Data), a
}

// TestFederationOff verifies that a gateway shows nothing of the federation unless it is turned on.
func TestFederationOff(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, query := range []string{`{ _service { sdl } }`, `{ _entities(representations: []) { __typename } }`, `{ entities }`, `query($r: [_Any!]) { viewer { id } }`} {
		a := w.Ask(query, e2e.Request{})
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "GRAPHQL_VALIDATION_FAILED" || strings.Contains(a.Errors[0].Message, "Did you mean") {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	for name := range w.Schema() {
		if strings.HasPrefix(name, "_") {
			t.Errorf("introspection has %s", name)
		}
	}
	if _, sdl := w.Send(http.MethodGet, "/schema.graphql", "", nil); strings.Contains(string(sdl), "_Entity") {
		t.Error("the schema has _Entity")
	}
	w.CheckNoCalls()
}

// TestService verifies the schema for composition, and that introspection and the served schema have
// the same types.
func TestService(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, on)
	var got struct {
		Service struct{ SDL string } `json:"_service"`
	}
	w.Query(`{ _service { sdl } }`, &got)
	if got.Service.SDL != schema.SubgraphSDL() {
		t.Errorf("%.1000s", got.Service.SDL)
	}
	for _, part := range []string{
		`@link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key","@shareable"])`,
		`type Robot implements Node @key(fields: "id") @key(fields: "id companyId departmentId") {`,
		`type Department implements Node @key(fields: "id") @key(fields: "id companyId departmentId") {`, `type Company implements Node @key(fields: "id") @key(fields: "id companyId") {`,
		`type PageInfo @shareable {`, `type Argument @shareable {`,
	} {
		if !strings.Contains(got.Service.SDL, part) {
			t.Errorf("no %s", part)
		}
	}
	if strings.Contains(got.Service.SDL, "_Entity") || strings.Contains(got.Service.SDL, "Payload @shareable") {
		t.Error("the schema for composition has fields of its own, or payloads that are shareable")
	}
	_, sdl := w.Send(http.MethodGet, "/schema.graphql", "", nil)
	served, err := gqlparser.LoadSchema(&ast.Source{Input: string(sdl)})
	if err != nil {
		t.Fatal(err)
	}
	sent := w.Schema()
	for name := range served.Types {
		if _, ok := sent[name]; !ok && !strings.HasPrefix(name, "__") {
			t.Errorf("introspection has no %s", name)
		}
	}
	for name := range sent {
		if served.Types[name] == nil {
			t.Errorf("the served schema has no %s", name)
		}
	}
	w.CheckNoCalls()
	closed := e2e.NewWorld(t, consolesim.Options{}, on, func(s *gateway.Settings, _ *consolesim.Server) { s.Introspection = "off" })
	if e := closed.ExpectRefusal(`{ _service { sdl } }`, e2e.Request{}); e.Extensions.Code != "FORBIDDEN" || !strings.HasSuffix(e.Message, ": _service cannot be selected") {
		t.Errorf("without introspection: %+v", e)
	}
}

// TestEntities reads entities of each type by mixed keys, in one batch per type.
func TestEntities(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, on)
	d := w.Sim.Data()
	company, dept := d.MainCompanyID(), d.MainDepartmentID()
	robots := d.RobotIDs(dept)
	got, a := ask(w,
		representation("Robot", robots[0], company, dept), representation("Robot", strings.ToUpper(robots[1]), "", ""),
		representation("Queue", d.QueueIDs(dept)[0], company, dept), representation("Queue", d.QueueIDs(dept)[1], "", ""),
		representation("Package", d.PackageIDs(dept)[0], "", ""), representation("Workflow", d.WorkflowIDs(dept)[0], company, dept),
		representation("WorkflowLayout", d.LayoutIDs(dept)[0], company, dept), representation("Company", company, "", ""),
		representation("Department", dept, company, ""), representation("Department", dept, "", ""),
		representation("Company", company, company, ""), representation("Company", company, e2e.UnknownID, ""), representation("Company", company, dept, company),
		representation("Department", dept, company, dept), representation("Department", dept, company, e2e.UnknownID),
		representation("Robot", e2e.UnknownID, company, dept), map[string]any{"__typename": "Robot", "id": robots[2], "companyId": nil, "departmentId": nil, "name": "?"},
	)
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	var read []string
	for _, e := range got.Entities {
		if e == nil {
			read = append(read, "null")
			continue
		}
		read = append(read, e.Typename+" "+e.Company+e.Department+e.Package+e.Queue+e.Robot+e.Workflow+e.WorkflowLayout)
	}
	want := []string{
		"Robot " + robots[0], "Robot " + robots[1], "Queue " + d.QueueIDs(dept)[0], "Queue " + d.QueueIDs(dept)[1], "Package " + d.PackageIDs(dept)[0],
		"Workflow " + d.WorkflowIDs(dept)[0], "WorkflowLayout " + d.LayoutIDs(dept)[0], "Company " + company, "Department " + dept, "Department " + dept,
		"Company " + company, "null", "null", "Department " + dept, "null", "null", "Robot " + robots[2],
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("- want + read:\n%s", diff)
	}
	if calls := w.Calls(); calls[e2e.Robots] != 1 || calls[e2e.Queues] != 1 || calls[e2e.Companies] != 1 || calls[e2e.Tree] != 1 {
		t.Errorf("%v", calls)
	}
	w.CheckNoDuplicateCalls()
}

// TestUnavailableEntities verifies that each wrong representation has an error at its index, and
// that the others are answered.
func TestUnavailableEntities(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, on)
	d := w.Sim.Data()
	company, dept := d.MainCompanyID(), d.MainDepartmentID()
	robot := d.RobotIDs(dept)[0]
	representations := []any{
		representation("Robot", robot, "", ""), representation("Job", robot, "", ""), map[string]any{"id": robot}, map[string]any{"__typename": "Robot"}, "Robot",
		representation("Robot", "x", "", ""), representation("Robot", robot, "x", dept), map[string]any{"__typename": "Robot", "id": 7}, representation("Robot", robot, e2e.UnknownID, dept),
		representation("Robot", robot, company, ""), representation("Robot", robot, "", dept), representation("Department", dept, "", dept),
		map[string]any{"__typename": "Robot", "id": nil}, map[string]any{"__typename": "Robot", "id": robot, "companyId": 7, "departmentId": dept},
	}
	got, a := ask(w, representations...)
	want := map[string]string{
		"_entities.1": "BAD_USER_INPUT", "_entities.2": "BAD_USER_INPUT", "_entities.3": "BAD_USER_INPUT", "_entities.4": "BAD_USER_INPUT",
		"_entities.5": "BAD_USER_INPUT", "_entities.6": "BAD_USER_INPUT", "_entities.7": "BAD_USER_INPUT", "_entities.8": "FORBIDDEN",
		"_entities.9": "BAD_USER_INPUT", "_entities.10": "BAD_USER_INPUT", "_entities.11": "BAD_USER_INPUT",
		"_entities.12": "BAD_USER_INPUT", "_entities.13": "BAD_USER_INPUT",
	}
	sent, messages := make(map[string]string), make(map[string]string)
	for _, e := range a.Errors {
		sent[e.FieldPath()], messages[e.FieldPath()] = e.Extensions.Code, e.Message
	}
	for at, says := range map[string]string{"_entities.3": "id: is missing", "_entities.7": "id: is not a string", "_entities.12": "id: is missing", "_entities.13": "companyId: is not a string"} {
		if !strings.HasSuffix(messages[at], says) {
			t.Errorf("%s: %q, want %q", at, messages[at], says)
		}
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("- want + got:\n%s\n%s", diff, a.Body)
	}
	if len(got.Entities) != len(representations) || got.Entities[0] == nil || got.Entities[0].Robot != robot {
		t.Errorf("%s", a.Data)
	}
	w.Sim.ResetCounts()
	many := make([]any, 1001)
	for i := range many {
		many[i] = representation("Robot", robot, company, dept)
	}
	if _, a := ask(w, many...); w.OnlyError(a).Extensions.Code != "BAD_USER_INPUT" {
		t.Errorf("%.500s", a.Body)
	}
	w.CheckNoCalls()
	unscoped := e2e.NewWorld(t, consolesim.Options{}, on, e2e.WithoutDefaultScope)
	if _, a := ask(unscoped, representation("Robot", robot, "", "")); unscoped.OnlyError(a).Extensions.Code != "SCOPE_REQUIRED" {
		t.Errorf("%s", a.Body)
	}
}

// TestEntitiesOfManyDepartments reads 1,000 robots of 10 departments, and counts the batches.
func TestEntitiesOfManyDepartments(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{Scale: 40_000}, on, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleIDs = "on" })
	d := w.Sim.Data()
	var representations []any
	departments := 0
	add := func(company, dept string, most int) {
		robots := d.RobotIDs(dept)
		for _, id := range robots[:min(len(robots), most)] {
			representations = append(representations, representation("Robot", id, company, dept))
		}
		departments++
	}
	for _, dept := range d.Departments(d.MainCompanyID()) {
		if dept.ID != d.MainDepartmentID() && departments < 9 {
			add(d.MainCompanyID(), dept.ID, 50)
		}
	}
	inMain := 1000 - len(representations)
	add(d.MainCompanyID(), d.MainDepartmentID(), inMain)
	if departments != 10 || len(representations) != 1000 {
		t.Fatalf("%d robots of %d departments", len(representations), departments)
	}
	rand.Shuffle(len(representations), func(i, j int) { representations[i], representations[j] = representations[j], representations[i] })
	got, a := ask(w, representations...)
	if len(a.Errors) > 0 || len(got.Entities) != len(representations) {
		t.Fatalf("%d entities: %.1000s", len(got.Entities), a.Body)
	}
	for i, e := range got.Entities {
		if id := representations[i].(map[string]any)["id"]; e == nil || e.Robot != id {
			t.Fatalf("entity %d is %+v, not %s", i, e, id)
		}
	}
	const chunk = 150 // a URL has room for more ids
	most := departments - 1 + (inMain+chunk-1)/chunk
	if calls := w.Calls(); len(calls) != 1 || calls[e2e.Robots] > most || w.CallsWithIDs() != calls[e2e.Robots] {
		t.Errorf("%v, %d of them with Ids; want at most %d", calls, w.CallsWithIDs(), most)
	}
}

// TestAPIKeyPermissions verifies that an API key limits the types of entities.
func TestAPIKeyPermissions(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var limited map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, on, func(s *gateway.Settings, sim *consolesim.Server) {
		k.Account("owner", sim.Data().Users()[0])
		limited = k.Key("limited", "owner", ", fields: [_entities], types: [Queue]")
		s.APIKeysFile = k.Write()
	})
	d := w.Sim.Data()
	dept := d.MainDepartmentID()
	a := w.Ask(`query($representations: [_Any!]!) { _entities(representations: $representations) { ... on Queue { id } } }`, e2e.Request{Header: limited, Variables: map[string]any{
		"representations": []any{representation("Queue", d.QueueIDs(dept)[0], "", ""), representation("Robot", d.RobotIDs(dept)[0], "", "")},
	}})
	if e := w.OnlyError(a); e.Extensions.Code != "FORBIDDEN" || e.FieldPath() != "_entities.1" || !strings.Contains(string(a.Data), d.QueueIDs(dept)[0]) {
		t.Errorf("%s", a.Body)
	}
	if e := w.ExpectRefusal(fmt.Sprintf(`{ robot(id: %q) { id } }`, d.RobotIDs(dept)[0]), e2e.Request{Header: limited}); e.Extensions.Code != "FORBIDDEN" {
		t.Errorf("%+v", e)
	}
}
