package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeQuery sends the README's query to the demo and compares the answers. It ignores the robots' status, which
// changes over time.
func TestReadmeQuery(t *testing.T) {
	example := regexp.MustCompile("(?s)```graphql\n(.*?)```\n\n```json\n(.*?)```").FindStringSubmatch(readme(t))
	if example == nil {
		t.Fatal("the README has no query with an answer")
	}
	demo := start(t, "admin listening", "demo", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
	w := &e2e.World{T: t, URL: demo.demoURL(t), Http: http.DefaultClient}
	var got, want any
	if err := json.Unmarshal(w.Ask(example[1], e2e.Request{}).Body, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(example[2]), &want); err != nil {
		t.Fatal(err)
	}
	changing := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "status" })
	if diff := cmp.Diff(want, got, changing); diff != "" {
		t.Errorf("the demo answers otherwise than the README says:\n%s", diff)
	}
}

// TestReadmeConnects sends the README's requests for connecting to a console: sign-in, ids, first query.
func TestReadmeConnects(t *testing.T) {
	type body struct {
		Query     string
		Variables map[string]map[string]any
	}
	var bodies []body
	for _, match := range regexp.MustCompile(`(?s)-d '(\{.*?\})'`).FindAllStringSubmatch(readme(t), -1) {
		var b body
		if err := json.Unmarshal([]byte(match[1]), &b); err != nil {
			t.Fatalf("%v: %s", err, match[1])
		}
		bodies = append(bodies, b)
	}
	if len(bodies) != 3 {
		t.Fatalf("the README has %d requests, not the sign-in, the ids and the first query", len(bodies))
	}

	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.NoDefault)
	username, password := w.Sim.DefaultUser()
	given := bodies[0].Variables["in"]
	given["username"], given["password"] = username, password
	a := w.Ask(bodies[0].Query, e2e.Request{Variables: map[string]any{"in": given}})
	header := e2e.Bearer(e2e.Decode[e2e.SignInAnswer](t, a.Data).SignIn.SessionToken)

	a = w.Ask(bodies[1].Query, e2e.Request{Header: header})
	companies := e2e.Decode[struct {
		Companies []struct {
			ID          string
			Departments []struct{ ID string }
		}
	}](t, a.Data).Companies
	if len(a.Errors) > 0 || len(companies) == 0 || len(companies[0].Departments) < 2 {
		t.Fatalf("answered %s", a.Body)
	}

	header["CompanyId"], header["DepartmentId"] = companies[0].ID, companies[0].Departments[1].ID
	a = w.Ask(bodies[2].Query, e2e.Request{Header: header})
	robots := e2e.Decode[struct{ Robots struct{ TotalCount int } }](t, a.Data).Robots
	if len(a.Errors) > 0 || robots.TotalCount == 0 {
		t.Errorf("answered %s", a.Body)
	}
}
