package examples_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/examples"
)

// TestExamplesAreValid verifies that each example has a title, a valid operation, and variables that are JSON.
func TestExamplesAreValid(t *testing.T) {
	sim, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	known, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	demo, err := examples.Demo(sim.Data(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	serve, err := examples.Serve()
	if err != nil {
		t.Fatal(err)
	}
	if len(demo) < 8 || len(serve) < 5 || !strings.Contains(serve[0].Query, "mutation SignIn") {
		t.Errorf("%d and %d examples", len(demo), len(serve))
	}
	for _, each := range append(demo, serve...) {
		if _, errs := gqlparser.LoadQueryWithRules(known, each.Query, rules.NewDefaultRules()); len(errs) > 0 || each.Title == "" {
			t.Errorf("%q: %v", each.Title, errs)
		}
		if each.Variables != "" && !json.Valid([]byte(each.Variables)) {
			t.Errorf("%s: its variables are %s", each.Title, each.Variables)
		}
	}
}
