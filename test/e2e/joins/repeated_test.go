package joins

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// inUpperCase returns an element of a list with its GUIDs in upper case, as another encoder writes it.
func inUpperCase(element map[string]any) map[string]any {
	other := map[string]any{}
	for name, value := range element {
		if text, ok := value.(string); ok && strings.HasSuffix(strings.ToLower(name), "id") {
			value = strings.ToUpper(text)
		}
		other[name] = value
	}
	return other
}

// TestRepeatedCompany verifies that a company that the console lists twice, as for two roles, is one company.
func TestRepeatedCompany(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutDefaultScope, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if !strings.HasSuffix(r.URL.Path, "/companylist") {
			return body
		}
		got := e2e.Decode[map[string][]map[string]any](t, []byte(body))
		got["companies"] = append(got["companies"], inUpperCase(got["companies"][0]))
		changed, err := json.Marshal(got)
		if err != nil {
			t.Error(err)
		}
		return string(changed)
	}))
	solo := w.Sim.Data().SoloUser()
	header := w.TokenHeader(solo.Username)
	home := solo.CompanyIDs[0]
	w.CheckWorkflowsOf(home, solo.Assigned[home], e2e.Request{Header: header})
	a := w.Ask(`{ companies { id } }`, e2e.Request{Header: header})
	if want := fmt.Sprintf(`{"companies":[{"id":%q}]}`, home); string(a.Data) != want {
		t.Errorf("answered %s, want %s", a.Body, want)
	}
}

// TestRepeatedDepartment verifies that a department that the tree of the console has twice counts once.
func TestRepeatedDepartment(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if !strings.HasSuffix(r.URL.Path, "/departments/tree") {
			return body
		}
		got := e2e.Decode[map[string]any](t, []byte(body))
		root := got["rootDepartment"].(map[string]any)
		children := root["children"].([]any)
		root["children"] = append(children, children[0], inUpperCase(children[len(children)-1].(map[string]any)))
		changed, err := json.Marshal(got)
		if err != nil {
			t.Error(err)
		}
		return string(changed)
	}))
	var got struct {
		Company struct {
			WorkflowCounts struct{ Total int }
			RootDepartment struct{ WorkflowCounts struct{ Total int } }
		}
	}
	w.Query(fmt.Sprintf(`{ company(id: %q) { workflowCounts { total } rootDepartment { workflowCounts(subtree: true) { total } } } }`, w.Sim.Data().MainCompanyID()), &got)
	if one, all := got.Company.RootDepartment.WorkflowCounts.Total, got.Company.WorkflowCounts.Total; one != all || all == 0 {
		t.Errorf("%d in the subtree of the root, %d in the company", one, all)
	}
}
