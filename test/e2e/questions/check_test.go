package questions

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// check runs the command check on a manifest, and returns its output and whether it succeeded.
func check(t *testing.T, documents map[string]string, variables any, maxCalls int) (out string, ok bool) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, v any) {
		raw, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("manifest.json", documents)
	write("manifest.variables.json", variables)
	said, err := exec.CommandContext(t.Context(), e2e.Release.Binary(t), "check", filepath.Join(dir, "manifest.json"), fmt.Sprint("--max-calls=", maxCalls)).CombinedOutput()
	return string(said), err == nil
}

// TestQuestionsWithinABudget runs the command check on the questions, whose most expensive one asks 29 departments for five
// lists each.
func TestQuestionsWithinABudget(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	documents := map[string]string{}
	for i, q := range questions() {
		text, mutates := strings.CutPrefix(fill(w, q.query, nil), "mutation ")
		kind := "query"
		if mutates {
			kind = "mutation"
		}
		documents[fmt.Sprint("question", i)] = fmt.Sprintf("%s Question%d %s", kind, i+1, text)
	}
	if out, ok := check(t, documents, nil, 160); !ok || strings.Count(out, "Question") != len(documents) {
		t.Errorf("check printed\n%s", out)
	}
	if out, ok := check(t, documents, nil, 100); ok || !strings.Contains(out, "more than 100") {
		t.Errorf("check printed\n%s", out)
	}
}

// TestDashboardWithinABudget runs the command check on the documents of the example dashboard.
func TestDashboardWithinABudget(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	company, dept := d.MainCompanyID(), d.MainDepartmentID()
	username, password := w.Sim.DefaultUser()
	sources, err := filepath.Glob("../../../examples/dashboard/web/src/*.ts*")
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string]string{}
	text, named := regexp.MustCompile("(?s)graphql\\(`(.*?)`"), regexp.MustCompile(`(query|mutation|subscription) (\w+)`)
	for _, path := range sources {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range text.FindAllSubmatch(raw, -1) {
			documents[string(named.FindSubmatch(found[1])[2])] = string(found[1])
		}
	}
	workflow := d.WorkflowIDs(dept)[0]
	out, ok := check(t, documents, map[string]any{
		"Department": map[string]any{"company": company, "department": dept},
		"Execute":    map[string]any{"input": map[string]any{"id": workflow, "idempotencyKey": "check"}},
		"Robots":     map[string]any{"company": company},
		"SignIn":     map[string]any{"input": map[string]any{"username": username, "password": password}},
		"Workflow":   map[string]any{"company": company, "department": dept, "workflow": workflow},
	}, 250)
	if !ok || len(documents) < 6 {
		t.Errorf("%d documents: check printed\n%s", len(documents), out)
	}
}
