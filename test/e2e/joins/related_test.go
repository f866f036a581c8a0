package joins

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFailedRelatedEntity makes all calls for one entity fail.
func TestFailedRelatedEntity(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		code   string
	}{
		"forbidden": {http.StatusForbidden, "FORBIDDEN"},
		"broken":    {http.StatusInternalServerError, "UPSTREAM_UNAVAILABLE"},
		"busy":      {http.StatusTooManyRequests, "RATE_LIMITED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Without Ids, two entities are requested one by one.
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleIDs = "off" })
			want := wantRelated(w, 2)
			bad := []string{want[0].Package.ID, want[1].Queue.ID}
			w.Sim.Fail(func(r *http.Request) bool {
				return strings.Contains(r.URL.Path, bad[0]) || strings.Contains(r.URL.Path, bad[1])
			}, consolesim.Fault{Status: tt.status})
			want[0].Package, want[0].Version, want[1].Queue = nil, nil, nil
			checkRelated(w, w.Ask(relatedQuery(2), e2e.Request{}), want, tt.code)
		})
	}
}

// TestFailedRelatedList verifies that the other relations are answered.
func TestFailedRelatedList(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			w.Sim.Fail(e2e.ForPath("/openapi/packages"), consolesim.Fault{Status: status})
			want := wantRelated(w, 50)
			for i := range want {
				want[i].Package, want[i].Version = nil, nil
			}
			checkRelated(w, w.Ask(relatedQuery(50), e2e.Request{}), want, "UPSTREAM_UNAVAILABLE")
		})
	}
}

// TestRefusedRelatedList verifies that single requests decide after a refused list. They would multiply the
// calls of a console that fails (500).
func TestRefusedRelatedList(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 404} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			w.Sim.Fail(e2e.ForPath("/openapi/packages"), consolesim.Fault{Status: status})
			a := w.Ask(relatedQuery(50), e2e.Request{})
			if diff := cmp.Diff(wantRelated(w, 50), e2e.Decode[relatedAnswer](t, a.Data).Workflows.Nodes); diff != "" || len(a.Errors) > 0 {
				t.Errorf("%+v, - want + answered:\n%s", a.Errors, diff)
			}
		})
	}
}

// TestDanglingRelations changes ids in answers, since consoles do not delete entities
// that are in use.
func TestDanglingRelations(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		field string
		lose  func(*related)
	}{
		"package": {"packageId", func(r *related) { r.Package, r.Version = nil, nil }},
		"version": {"packageVersionId", func(r *related) { r.Version = nil }},
		"queue":   {"associatedQueueId", func(r *related) { r.Queue = nil }},
	} {
		for _, first := range []int{1, 2, 50} {
			t.Run(fmt.Sprint(name, " of one in ", first), func(t *testing.T) {
				t.Parallel()
				var from string
				w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
					if r.URL.Path != "/openapi/workflows" {
						return body
					}
					return strings.Replace(body, from, fmt.Sprintf("%q:%q", tt.field, e2e.UnknownID), 1)
				}))
				want := wantRelated(w, first)
				f, _ := w.Sim.Data().Workflow(want[0].ID)
				from = fmt.Sprintf("%q:%q", tt.field, map[string]string{
					"packageId": f.PackageID, "packageVersionId": f.PackageVersionID, "associatedQueueId": f.QueueID,
				}[tt.field])
				tt.lose(&want[0])
				checkRelated(w, w.Ask(relatedQuery(first), e2e.Request{}), want, "")
			})
		}
	}
}

// TestOtherDanglingRelations verifies that they are null without an error.
func TestOtherDanglingRelations(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, id, query, field string
	}{
		"a step's workflow":       {"/openapi/workflowlayouts", "workflowId", `{ workflowLayouts(first: 1) { nodes { nodes { name workflow { name } } } } }`, "workflow"},
		"an entity's company":     {"/openapi/queues", "companyId", `{ queues(first: 1) { nodes { name company { name } } } }`, "company"},
		"an entity's department":  {"/openapi/queues", "departmentId", `{ queues(first: 1) { nodes { name department { name } } } }`, "department"},
		"the latest version":      {"/openapi/packages", "lastVersionId", `{ packages(first: 1) { nodes { name latestVersion { version } } } }`, "latestVersion"},
		"the viewer's department": {"/openapi/companyusers/self", "assignedDepartmentId", `{ viewer { name assignedDepartment { name } } }`, "assignedDepartment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
				if r.URL.Path != tt.path {
					return body
				}
				key := fmt.Sprintf("%q:\"", tt.id)
				at := strings.Index(body, key)
				if at < 0 {
					t.Errorf("no %s in %s", key, body)
					return body
				}
				at += len(key)
				return body[:at] + e2e.UnknownID + body[at+36:]
			}))
			a := w.Ask(tt.query, e2e.Request{})
			if !strings.Contains(string(a.Data), `"name":"`) || lastNull(string(a.Data)) != tt.field || len(a.Errors) > 0 {
				t.Errorf("answered %s", a.Body)
			}
		})
	}
}

// TestMissingRobot verifies that a missing robot is omitted, without a call for the
// list of robots.
func TestMissingRobot(t *testing.T) {
	t.Parallel()
	for _, first := range []int{1, 2, 50} {
		t.Run(fmt.Sprint("one in ", first), func(t *testing.T) {
			t.Parallel()
			var from string
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
				if r.URL.Path != "/openapi/workflows" {
					return body
				}
				return strings.Replace(body, from, fmt.Sprintf("\"associatedRobotIds\":[%q", e2e.UnknownID), 1)
			}))
			want := wantRelated(w, first)
			at := slices.IndexFunc(want, func(r related) bool { return len(r.Robots) > 0 })
			if at < 0 {
				t.Fatal("no workflow has robots")
			}
			from = fmt.Sprintf("\"associatedRobotIds\":[%q", want[at].Robots[0].ID)
			want[at].Robots = want[at].Robots[1:]
			a := w.Ask(relatedQuery(first), e2e.Request{})
			if diff := cmp.Diff(want, e2e.Decode[relatedAnswer](t, a.Data).Workflows.Nodes, cmpopts.EquateEmpty()); diff != "" || len(a.Errors) > 0 {
				t.Errorf("%+v, - want + answered:\n%s", a.Errors, diff)
			}
			if n := w.Calls()[e2e.WorkflowRobots]; n > 0 {
				t.Errorf("%d calls for lists of robots", n)
			}
		})
	}
}

// TestUnprovenAbsence uses answers that do not prove that an entity is missing. Each is an
// error at the relation, and the siblings are answered.
func TestUnprovenAbsence(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault consolesim.Fault
		code  string
	}{
		"an ingress":             {consolesim.IngressPage.Fault(http.StatusNotFound), "UPSTREAM_INVALID_RESPONSE"},
		"nginx":                  {consolesim.NginxPage.Fault(http.StatusNotFound), "UPSTREAM_INVALID_RESPONSE"},
		"not the caller's":       {consolesim.Fault{Status: http.StatusForbidden}, "FORBIDDEN"},
		"down, in all its calls": {consolesim.Fault{Status: http.StatusServiceUnavailable}, "UPSTREAM_UNAVAILABLE"},
	} {
		for _, ids := range []string{"auto", "off"} {
			t.Run(name+", Ids "+ids, func(t *testing.T) {
				t.Parallel()
				w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleIDs = ids })
				want := wantRelated(w, 2)
				w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, tt.fault)
				want[0].Queue, want[1].Queue = nil, nil
				checkRelated(w, w.Ask(relatedQuery(2), e2e.Request{}), want, tt.code)
			})
		}
	}
}

// TestUnprovenAbsenceInTree verifies that a department counts as missing only if the tree was
// read.
func TestUnprovenAbsenceInTree(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, query, at string }{
		"a relation":          {"/openapi/departments/tree", `{ queues(first: 1) { nodes { name department { name } } } }`, "queues.nodes.0.department"},
		"by id":               {"/openapi/departments/tree", `{ department(id: "` + e2e.UnknownID + `") { name } viewer { name } }`, "department"},
		"a company":           {"/openapi/companies/companylist", `{ queues(first: 1) { nodes { name company { name } } } }`, "queues.nodes.0.company"},
		"a company by its id": {"/openapi/companies/companylist", `{ company(id: "` + e2e.UnknownID + `") { name } viewer { name } }`, "company"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			w.Sim.Fail(e2e.ForPath(tt.path), consolesim.Fault{Status: http.StatusNotFound})
			a := w.Ask(tt.query, e2e.Request{})
			if e := w.OnlyError(a); e.Extensions.Code != "NOT_FOUND" || e.FieldPath() != tt.at || !strings.Contains(string(a.Data), `"name":"`) {
				t.Errorf("%s", a.Body)
			}
		})
	}
}

// lastNull returns the name of the last null field.
func lastNull(data string) string {
	before, _, _ := strings.Cut(data, `":null`)
	return before[strings.LastIndexByte(before, '"')+1:]
}

func TestMissingEntityIsNoError(t *testing.T) {
	t.Parallel()
	for name, console := range map[string]consolesim.Options{"plain": {}, "wrapped": {Dialect: consolesim.Dialect{WrapSingle: true}}, "without Ids": {NoIDs: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, console)
			fields := ""
			for _, field := range []string{"package", "queue", "robot", "workflow", "workflowLayout"} {
				fields += fmt.Sprintf("%s(id: %q) { name } ", field, e2e.UnknownID)
				fields += fmt.Sprintf("other_%s: %s(id: %q) { name } ", field, field, strings.ReplaceAll(e2e.UnknownID, "dead", "beef"))
			}
			var got struct {
				Root map[string]any
			}
			query := fmt.Sprintf(`{ %s company(id: %q) { name } missing: department(id: %q) { name }
				department(id: %q) { %s } here: company(id: %q) { department(id: %q) { name } } }`,
				fields, e2e.UnknownID, e2e.UnknownID, w.Sim.Data().MainDepartmentID(), fields, w.Sim.Data().MainCompanyID(), e2e.UnknownID)
			w.Query(query, &got.Root)
			check := func(where string, fields map[string]any) {
				for field, v := range fields {
					if v != nil && field != "here" && (field != "department" || where != "query") {
						t.Errorf("%s of %s is %v", field, where, v)
					}
				}
			}
			if len(got.Root) != 14 {
				t.Errorf("%d fields: %v", len(got.Root), got.Root)
			}
			check("query", got.Root)
			check("department", got.Root["department"].(map[string]any))
			check("company", got.Root["here"].(map[string]any))
		})
	}
}

// related is a workflow with its relations.
type related struct {
	ID                      string
	Package, Queue, Version *onlyID
	Robots                  []onlyID
}

type relatedAnswer struct{ Workflows struct{ Nodes []related } }

func relatedQuery(first int) string {
	return fmt.Sprintf(`{ workflows(first: %d) { nodes { id package { id } version { id } queue { id } robots { id } } } }`, first)
}

// wantRelated returns the expected answer of relatedQuery without failures.
func wantRelated(w *e2e.World, first int) []related {
	var all []related
	for _, id := range w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[:first] {
		f, _ := w.Sim.Data().Workflow(id)
		r := related{ID: id, Package: &onlyID{f.PackageID}, Version: &onlyID{f.PackageVersionID}, Queue: &onlyID{f.QueueID}}
		for _, robot := range f.RobotIDs {
			r.Robots = append(r.Robots, onlyID{robot})
		}
		all = append(all, r)
	}
	return all
}

// checkRelated compares an answer with want, in which nil stands for a failure with code.
// Without a code, nil stands for a missing entity, which is no error.
func checkRelated(w *e2e.World, a e2e.Answer, want []related, code string) {
	w.T.Helper()
	if diff := cmp.Diff(want, e2e.Decode[relatedAnswer](w.T, a.Data).Workflows.Nodes); diff != "" {
		w.T.Errorf("- want + answered:\n%s", diff)
	}
	failed := make(map[string]bool)
	for i, r := range want {
		for field, none := range map[string]bool{"package": r.Package == nil, "version": r.Version == nil, "queue": r.Queue == nil, "robots": r.Robots == nil} {
			if none {
				failed[fmt.Sprintf("workflows.nodes.%d.%s", i, field)] = true
			}
		}
	}
	if len(failed) == 0 {
		w.T.Fatal("nothing is to fail")
	}
	if code == "" {
		clear(failed)
	}
	for _, e := range a.Errors {
		if !failed[e.FieldPath()] || e.Extensions.Code != code {
			w.T.Errorf("unexpected: %+v", e)
		}
		delete(failed, e.FieldPath())
	}
	if len(failed) > 0 {
		w.T.Errorf("no error at %v", failed)
	}
}
