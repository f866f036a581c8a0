package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// pages are the answers of what stands before the console, with statuses that they come with.
func pages() map[string]consolesim.Fault {
	object := func(status int, body string) consolesim.Fault {
		return consolesim.Fault{Status: status, Body: []byte(body)}
	}
	return map[string]consolesim.Fault{
		"ingress, 404":  consolesim.IngressPage.Fault(http.StatusNotFound),
		"nginx, 404":    consolesim.NginxPage.Fault(http.StatusNotFound),
		"nginx, 403":    consolesim.NginxPage.Fault(http.StatusForbidden),
		"nginx, 401":    consolesim.NginxPage.Fault(http.StatusUnauthorized),
		"nginx, 413":    consolesim.NginxPage.Fault(http.StatusRequestEntityTooLarge),
		"mesh, 403":     consolesim.MeshPage.Fault(http.StatusForbidden),
		"portal, 200":   consolesim.PortalPage.Fault(http.StatusOK),
		"portal, 302":   consolesim.PortalPage.Fault(http.StatusFound),
		"gone, 410":     consolesim.IngressPage.Fault(http.StatusGone),
		"conflict, 409": consolesim.NginxPage.Fault(http.StatusConflict),
		"Kong, 404":     object(http.StatusNotFound, `{"message":"no Route matched with those values","request_id":"8c6b"}`),
		"AWS, 403":      object(http.StatusForbidden, `{"message":"Forbidden"}`),
		"Kong, 401":     object(http.StatusUnauthorized, `{"message":"Unauthorized"}`),
		"Azure, 404":    object(http.StatusNotFound, `{"statusCode":404,"message":"Resource not found"}`),
		"Spring, 404":   object(http.StatusNotFound, `{"timestamp":"2026-01-01","path":"/openapi","status":404,"error":"Not Found","requestId":"1"}`),
		"an object":     object(http.StatusNotFound, `{}`),
	}
}

// TestPagesAreNoAnswers: what stands before the console neither denies that something exists, nor does what was asked,
// nor ends what is served while the console is away.
func TestPagesAreNoAnswers(t *testing.T) {
	unavailable := map[string]bool{"UPSTREAM_UNAVAILABLE": true, "UPSTREAM_INVALID_RESPONSE": true}
	for name, page := range pages() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, consolesim.Options{})
			data := w.sim.Data()
			main := data.MainDepartmentID()
			queueID, workflowID := data.QueueIDs(main)[0], data.WorkflowIDs(main)[0]
			heal := w.sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/") }, page)
			for _, query := range []string{
				fmt.Sprintf(`{ queue(id: %q) { name } }`, queueID),
				`{ queues { totalCount } }`,
				fmt.Sprintf(`mutation { deleteQueue(input: {id: %q}) { deletedId } }`, queueID),
				fmt.Sprintf(`mutation { deleteWorkflow(input: {id: %q}) { deletedId } }`, workflowID),
				fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, workflowID),
			} {
				a := w.ask(query, request{})
				if len(a.Errors) == 0 || !unavailable[a.Errors[0].Extensions.Code] {
					t.Errorf("%s: %s", query, a.Body)
				}
			}
			heal()
			a := w.ask(fmt.Sprintf(`{ queue(id: %q) { id } workflow(id: %q) { id } }`, queueID, workflowID), request{})
			if len(a.Errors) > 0 || strings.Contains(string(a.Data), "null") {
				t.Errorf("afterwards: %s", a.Body)
			}
		})
	}
}

// TestPagesTeachNothing: that a proxy refused a batch says nothing of whether the console takes one.
func TestPagesTeachNothing(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	data := w.sim.Data()
	query := `{`
	for i, id := range data.QueueIDs(data.MainDepartmentID())[:4] {
		query += fmt.Sprintf(` q%d: queue(id: %q) { name }`, i, id)
	}
	query += ` }`
	heal := w.sim.Fail(func(r *http.Request) bool { return r.URL.Query().Has("Ids") }, consolesim.NginxPage.Fault(http.StatusNotFound))
	if a := w.ask(query, request{}); len(a.Errors) == 0 && strings.Contains(string(a.Data), "null") {
		t.Errorf("a page says that queues do not exist: %s", a.Body)
	}
	heal()
	w.sim.ResetCounts()
	if a := w.ask(query, request{}); len(a.Errors) > 0 || w.calls()["GET /openapi/queues"] != 1 || w.calls()[queue] != 0 {
		t.Errorf("%v, %s", w.calls(), a.Body)
	}
}

// TestReasonsReachCallers: why the console refuses is told in whatever form it says so.
func TestReasonsReachCallers(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	for name, c := range map[string]struct{ contentType, body string }{
		"validation":       {"application/problem+json", `{"title":"One or more validation errors occurred.","errors":{"Name":["is taken"]}}`},
		"text":             {"text/plain; charset=utf-8", "the name is taken"},
		"JSON text":        {"application/json", `"the name is taken"`},
		"message in error": {"application/json", `{"error":{"message":"the name is taken"}}`},
		"message":          {"text/plain", `{"message":"the name is taken"}`},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodPost }, consolesim.Fault{Status: 400, ContentType: c.contentType, Body: []byte(c.body)})()
			e := w.refused(`mutation { createQueue(input: {name: "q"}) { queue { id } } }`, request{})
			if e.Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(e.Message, "is taken") {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestFailuresOfTheConsoleStayInside: what a failed console says of its inside goes to nobody but the log.
func TestFailuresOfTheConsoleStayInside(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	w.sim.Fail(nil, consolesim.Fault{Status: 500, Title: "An error occurred", Detail: "Server=db;Password=hunter2 at System.Data.Open()"})
	a := w.ask(`{ queues { totalCount } }`, request{})
	if e := w.onlyError(a); e.Extensions.Code != "UPSTREAM_UNAVAILABLE" || !strings.Contains(e.Message, "An error occurred") || strings.Contains(string(a.Body), "hunter2") {
		t.Errorf("%s", a.Body)
	}
}

// TestEmptyRefusals: a console that answers 401 and 403 without a body has its tokens renewed as any other, and a call
// that it forbids is forbidden.
func TestEmptyRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{Dialect: consolesim.Dialect{EmptyRefusals: true}})
	w.query(`{ viewer { userName } }`, nil)
	session := w.signIn(w.sim.Data().Users()[0])
	time.Sleep(1100 * time.Millisecond) // a younger token is not renewed
	for _, header := range []map[string]string{nil, session} {
		w.sim.ExpireTokens()
		header = with(header, in(w.sim.Data().MainCompanyID(), w.sim.Data().MainDepartmentID()))
		if a := w.ask(`{ queues(first: 1) { nodes { id } } }`, request{header: header}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
	}
	defer w.sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/") }, consolesim.Fault{Status: http.StatusForbidden, Body: []byte{}})()
	if e := w.refused(`{ queues(first: 2) { nodes { id } } }`, request{}); e.Extensions.Code != "FORBIDDEN" {
		t.Errorf("%+v", e)
	}
}

// TestGUIDsInWhateverForm: an id that a caller writes without dashes, in braces or in upper case names the same entity.
func TestGUIDsInWhateverForm(t *testing.T) {
	w := newWorld(t, consolesim.Options{Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDBraces}})
	data := w.sim.Data()
	id := data.QueueIDs(data.MainDepartmentID())[1]
	bare := strings.ReplaceAll(id, "-", "")
	for _, form := range []string{id, "{" + id + "}", bare, strings.ToUpper(bare), strings.ToUpper(id), "(" + id + ")"} {
		a := w.ask(fmt.Sprintf(`{ queue(id: %q) { id } }`, form), request{header: in("{"+data.MainCompanyID()+"}", strings.ReplaceAll(data.MainDepartmentID(), "-", ""))})
		if want := fmt.Sprintf(`{"queue":{"id":%q}}`, id); string(a.Data) != want {
			t.Errorf("%s: %s", form, a.Body)
		}
	}
	a := w.ask(fmt.Sprintf(`mutation { deleteQueue(input: {id: "{%s}"}) { deletedId } }`, id), request{})
	if want := fmt.Sprintf(`{"deleteQueue":{"deletedId":%q}}`, id); string(a.Data) != want {
		t.Errorf("%s", a.Body)
	}
}

// TestOneJobIsAListOfOne: an execution that is answered by its job alone has started it.
func TestOneJobIsAListOfOne(t *testing.T) {
	w := newWorld(t, consolesim.Options{Dialect: consolesim.Dialect{SingleExecute: true, ByteOrderMark: true}})
	data := w.sim.Data()
	started := 0
	for _, id := range data.WorkflowIDs(data.MainDepartmentID())[:5] {
		a := w.ask(fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id), request{})
		started += strings.Count(string(a.Data), `"id"`)
		if len(a.Errors) > 0 && a.Errors[0].Extensions.Code != "BAD_USER_INPUT" { // one without robots is refused
			t.Errorf("%s", a.Body)
		}
	}
	if started == 0 {
		t.Error("no job was started")
	}
}
