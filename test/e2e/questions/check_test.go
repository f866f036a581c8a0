package questions

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/documentcheck"
	"github.com/consoleql/consoleql/test/e2e"
)

// check runs the documents of a manifest as the command check does. It fails the test unless each is answered with at
// most maxCalls console calls.
func check(t *testing.T, documents map[string]string, variables any, maxCalls int) {
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
	results, err := documentcheck.Run(t.Context(), documentcheck.Options{Files: []string{filepath.Join(dir, "manifest.json")}})
	if err != nil || len(results) != len(documents) {
		t.Fatalf("%d results of %d documents: %v", len(results), len(documents), err)
	}
	for _, r := range results {
		if r.Error != "" || r.Calls > maxCalls {
			t.Errorf("%s makes %d calls, more than %d, or fails: %s", r.Name, r.Calls, maxCalls, r.Error)
		}
	}
}

// TestQuestionCalls bounds the calls of the questions, whose most expensive one asks 29 departments for five lists
// each.
func TestQuestionCalls(t *testing.T) {
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
	check(t, documents, nil, 160)
}

// TestDashboardCalls bounds the calls of the documents of the example dashboard.
func TestDashboardCalls(t *testing.T) {
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
	check(t, documents, map[string]any{
		"Department": map[string]any{"company": company, "department": dept},
		"Execute":    map[string]any{"input": map[string]any{"id": workflow, "idempotencyKey": "check"}},
		"Robots":     map[string]any{"company": company},
		"SignIn":     map[string]any{"input": map[string]any{"username": username, "password": password}},
		"Workflow":   map[string]any{"company": company, "department": dept, "workflow": workflow},
	}, 300)
	if len(documents) < 6 {
		t.Errorf("%d documents", len(documents))
	}
}
