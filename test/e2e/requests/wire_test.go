package requests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestHTMLIsNoAnswer verifies that a proxy's answer neither means that an entity is
// missing, nor that a change was made, nor ends stale data.
func TestHTMLIsNoAnswer(t *testing.T) {
	t.Parallel()
	unavailable := map[string]bool{"UPSTREAM_UNAVAILABLE": true, "UPSTREAM_INVALID_RESPONSE": true}
	for name, page := range e2e.Pages() {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{})
			data := w.Sim.Data()
			main := data.MainDepartmentID()
			queueID, workflowID := data.QueueIDs(main)[0], data.WorkflowIDs(main)[0]
			heal := w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/") }, page)
			for _, query := range []string{
				fmt.Sprintf(`{ queue(id: %q) { name } }`, queueID),
				`{ queues { totalCount } }`,
				fmt.Sprintf(`mutation { deleteQueue(input: {id: %q}) { deletedId } }`, queueID),
				fmt.Sprintf(`mutation { deleteWorkflow(input: {id: %q}) { deletedId } }`, workflowID),
				fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, workflowID),
			} {
				a := w.Ask(query, e2e.Request{})
				if len(a.Errors) == 0 || !unavailable[a.Errors[0].Extensions.Code] {
					t.Errorf("%s: %s", query, a.Body)
				}
			}
			heal()
			a := w.Ask(fmt.Sprintf(`{ queue(id: %q) { id } workflow(id: %q) { id } }`, queueID, workflowID), e2e.Request{})
			if len(a.Errors) > 0 || strings.Contains(string(a.Data), "null") {
				t.Errorf("afterwards: %s", a.Body)
			}
		})
	}
}

// TestHTMLChangesNoCapabilities verifies that a proxy's refusal of a batch says nothing about the
// console's support.
func TestHTMLChangesNoCapabilities(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	data := w.Sim.Data()
	query := `{`
	for i, id := range data.QueueIDs(data.MainDepartmentID())[:4] {
		query += fmt.Sprintf(` q%d: queue(id: %q) { name }`, i, id)
	}
	query += ` }`
	heal := w.Sim.Fail(func(r *http.Request) bool { return r.URL.Query().Has("Ids") }, consolesim.NginxPage.Fault(http.StatusNotFound))
	if a := w.Ask(query, e2e.Request{}); len(a.Errors) == 0 && strings.Contains(string(a.Data), "null") {
		t.Errorf("a page says that queues do not exist: %s", a.Body)
	}
	heal()
	w.Sim.ResetCounts()
	if a := w.Ask(query, e2e.Request{}); len(a.Errors) > 0 || w.Calls()["GET /openapi/queues"] != 1 || w.Calls()[e2e.Queue] != 0 {
		t.Errorf("%v, %s", w.Calls(), a.Body)
	}
}

// TestReasonsReachCallers verifies that callers get the console's reason in all its forms.
func TestReasonsReachCallers(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, c := range map[string]struct{ contentType, body string }{
		"validation":       {"application/problem+json", `{"title":"One or more validation errors occurred.","errors":{"Name":["is taken"]}}`},
		"text":             {"text/plain; charset=utf-8", "the name is taken"},
		"JSON text":        {"application/json", `"the name is taken"`},
		"message in error": {"application/json", `{"error":{"message":"the name is taken"}}`},
		"message":          {"text/plain", `{"message":"the name is taken"}`},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.Sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodPost }, consolesim.Fault{Status: 400, ContentType: c.contentType, Body: []byte(c.body)})()
			e := w.ExpectRefusal(`mutation { createQueue(input: {name: "q"}) { queue { id } } }`, e2e.Request{})
			if e.Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(e.Message, "is taken") {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestConsoleFailureDetailsAreHidden verifies that internal details of a failed console are
// only logged.
func TestConsoleFailureDetailsAreHidden(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.Sim.Fail(nil, consolesim.Fault{Status: 500, Title: "An error occurred", Detail: "Server=db;Password=hunter2 at System.Data.Open()"})
	a := w.Ask(`{ queues { totalCount } }`, e2e.Request{})
	if e := w.OnlyError(a); e.Extensions.Code != "UPSTREAM_UNAVAILABLE" || !strings.Contains(e.Message, "An error occurred") || strings.Contains(string(a.Body), "hunter2") {
		t.Errorf("%s", a.Body)
	}
}

// TestEmptyRefusals verifies that an empty 401 refreshes the token, and that an empty 403
// means FORBIDDEN.
func TestEmptyRefusals(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{Dialect: consolesim.Dialect{EmptyRefusals: true}})
	w.Query(`{ viewer { userName } }`, nil)
	session := w.SignIn(w.Sim.Data().Users()[0])
	time.Sleep(1100 * time.Millisecond) // a younger token is not refreshed
	for _, header := range []map[string]string{nil, session} {
		w.Sim.ExpireTokens()
		header = e2e.MergeHeaders(header, e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID()))
		if a := w.Ask(`{ queues(first: 1) { nodes { id } } }`, e2e.Request{Header: header}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
	}
	defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/") }, consolesim.Fault{Status: http.StatusForbidden, Body: []byte{}})()
	if e := w.ExpectRefusal(`{ queues(first: 2) { nodes { id } } }`, e2e.Request{}); e.Extensions.Code != "FORBIDDEN" {
		t.Errorf("%+v", e)
	}
}

// TestGUIDFormats verifies that ids without dashes, in braces or in upper case name
// the same entity.
func TestGUIDFormats(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDBraces}})
	data := w.Sim.Data()
	id := data.QueueIDs(data.MainDepartmentID())[1]
	bare := strings.ReplaceAll(id, "-", "")
	for _, form := range []string{id, "{" + id + "}", bare, strings.ToUpper(bare), strings.ToUpper(id), "(" + id + ")"} {
		a := w.Ask(fmt.Sprintf(`{ queue(id: %q) { id } }`, form), e2e.Request{Header: e2e.ScopeHeader("{"+data.MainCompanyID()+"}", strings.ReplaceAll(data.MainDepartmentID(), "-", ""))})
		if want := fmt.Sprintf(`{"queue":{"id":%q}}`, id); string(a.Data) != want {
			t.Errorf("%s: %s", form, a.Body)
		}
	}
	a := w.Ask(fmt.Sprintf(`mutation { deleteQueue(input: {id: "{%s}"}) { deletedId } }`, id), e2e.Request{})
	if want := fmt.Sprintf(`{"deleteQueue":{"deletedId":%q}}`, id); string(a.Data) != want {
		t.Errorf("%s", a.Body)
	}
}

// TestSingleJobBecomesList verifies that an answer with a single job is a started execution.
func TestSingleJobBecomesList(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{Dialect: consolesim.Dialect{SingleExecute: true, ByteOrderMark: true}})
	data := w.Sim.Data()
	started := 0
	for _, id := range data.WorkflowIDs(data.MainDepartmentID())[:5] {
		a := w.Ask(fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id), e2e.Request{})
		started += strings.Count(string(a.Data), `"id"`)
		if len(a.Errors) > 0 && a.Errors[0].Extensions.Code != "BAD_USER_INPUT" { // a workflow without robots is refused
			t.Errorf("%s", a.Body)
		}
	}
	if started == 0 {
		t.Error("no job was started")
	}
}
