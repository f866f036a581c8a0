package consoleclient

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/scope"
)

// guidForms are the forms of a GUID that consoles and callers write.
func guidForms() map[string]func(string) string {
	bare := func(id string) string { return strings.ReplaceAll(id, "-", "") }
	return map[string]func(string) string{
		"canonical":        func(id string) string { return id },
		"upper case":       strings.ToUpper,
		"braces":           func(id string) string { return "{" + id + "}" },
		"braces, upper":    func(id string) string { return "{" + strings.ToUpper(id) + "}" },
		"parentheses":      func(id string) string { return "(" + id + ")" },
		"no dashes":        bare,
		"no dashes, upper": func(id string) string { return strings.ToUpper(bare(id)) },
		"URN":              func(id string) string { return "urn:uuid:" + id },
	}
}

// Ids are read as GUIDs in every form.
func TestIDsInAnswers(t *testing.T) {
	for name, form := range guidForms() {
		t.Run(name, func(t *testing.T) {
			id, none := form(guid), form(scope.NoID)
			ask := func(answer string) *Client { return newTestClient(t, serve(t, jsonAnswer(answer)), nil) }

			w, err := ask(`{"id":"`+id+`","associatedQueueId":"`+id+`","packageId":"`+none+`","associatedRobotIds":["`+id+`","`+id+
				`"],"companyId":"`+id+`","departmentId":"`+id+`","name":"`+id+`"}`).Workflow(t.Context(), testScope, guid)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{guid, ptr(guid), (*string)(nil), &[]string{guid, guid}, scope.Scope{CompanyID: guid, DepartmentID: guid}, id},
				[]any{w.ID, w.AssociatedQueueID, w.PackageID, w.AssociatedRobotIDs, w.Scope(), w.Name}); diff != "" {
				t.Errorf("workflow (-want +got):\n%s", diff)
			}
			for shape, answer := range map[string]string{
				"bare": `{"id":"` + id + `"}`, "wrapped": `{"list":[{"id":"` + id + `"}]}`, "of several": `{"list":[{"id":"` + id + `"},{"id":"x"}]}`,
				"PascalCase": `{"Id":"` + id + `"}`,
			} {
				if q, err := ask(answer).Queue(t.Context(), testScope, guid); err != nil || q.ID != guid {
					t.Errorf("queue, %s: got %+v, %v", shape, q, err)
				}
			}
			page, err := ask(`{"count":1,"list":[{"id":"`+id+`","currentVersion":"1"}]}`).Packages(t.Context(), testScope, List[PackageFilter]{})
			if err != nil || len(page.List) != 1 || page.List[0].ID != guid {
				t.Errorf("packages: got %+v, %v", page, err)
			}
			job := `{"id":"` + id + `","workflowId":"` + id + `","jobGroupId":"` + none + `","lastRunInstaceId":"` + id + `"}`
			jobs, err := ask("["+job+"]").ExecuteWorkflow(t.Context(), testScope, guid, WorkflowExecution{})
			if err != nil || len(jobs) != 1 {
				t.Fatalf("got %d jobs, %v", len(jobs), err)
			}
			group, err := ask(`{"id":"`+id+`","jobs":[`+job+`]}`).ExecuteWorkflowLayout(t.Context(), testScope, guid)
			if err != nil || group.ID != guid || len(group.Jobs) != 1 {
				t.Fatalf("got %+v, %v", group, err)
			}
			for _, j := range append(jobs, group.Jobs...) {
				if diff := cmp.Diff([]any{guid, ptr(guid), (*string)(nil), ptr(guid)}, []any{j.ID, j.WorkflowID, j.JobGroupID, j.LastRunInstanceID}); diff != "" {
					t.Errorf("job (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// An id in another form is the same id in a path, a filter or a body.
func TestIDsInRequests(t *testing.T) {
	for name, form := range guidForms() {
		t.Run(name, func(t *testing.T) {
			console := serve(t, jsonAnswer(`{"id":"`+guid+`"}`))
			client := newTestClient(t, console, nil)
			if _, err := client.Queue(t.Context(), testScope, form(guid)); err != nil {
				t.Fatal(err)
			}
			if r := console.last(t); r.Path != "/openapi/queues/"+guid {
				t.Errorf("asked for %s", r.Path)
			}
			if _, err := client.UpgradeWorkflows(t.Context(), testScope, []string{form(guid)}); err != nil {
				t.Fatal(err)
			}
			if r := console.last(t); string(r.Body) != `{"workflowIds":["`+guid+`"]}` {
				t.Errorf("sent %s", r.Body)
			}
			var id OptionalID
			if err := id.UnmarshalGQL(form(guid)); err != nil || id != guid {
				t.Errorf("as a filter: got %q, %v", id, err)
			}
		})
	}
}
