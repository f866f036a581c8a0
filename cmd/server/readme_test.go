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
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeQuery asks the demo what the README asks, and compares the answers. The status of
// robots changes with time.
func TestReadmeQuery(t *testing.T) {
	example := regexp.MustCompile("(?s)```graphql\n(.*?)```\n\n```json\n(.*?)```").FindStringSubmatch(readme(t))
	if example == nil {
		t.Fatal("the README has no query with an answer")
	}
	demo := start(t, "admin listening", "demo", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
	w := &world{t: t, url: demo.demoURL(t), http: http.DefaultClient}
	var got, want any
	if err := json.Unmarshal(w.ask(example[1], request{}).Body, &got); err != nil {
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

// TestReadmeConnects sends the requests with which the README connects to a console: the
// sign-in, the ids, the first query.
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

	w := newWorld(t, consolesim.Options{}, strict, noDefault)
	username, password := w.sim.DefaultUser()
	given := bodies[0].Variables["in"]
	given["username"], given["password"] = username, password
	a := w.ask(bodies[0].Query, request{variables: map[string]any{"in": given}})
	header := bearer(decode[signInAnswer](t, a.Data).SignIn.SessionToken)

	a = w.ask(bodies[1].Query, request{header: header})
	companies := decode[struct {
		Companies []struct {
			ID          string
			Departments []struct{ ID string }
		}
	}](t, a.Data).Companies
	if len(a.Errors) > 0 || len(companies) == 0 || len(companies[0].Departments) < 2 {
		t.Fatalf("answered %s", a.Body)
	}

	header["CompanyId"], header["DepartmentId"] = companies[0].ID, companies[0].Departments[1].ID
	a = w.ask(bodies[2].Query, request{header: header})
	robots := decode[struct{ Robots struct{ TotalCount int } }](t, a.Data).Robots
	if len(a.Errors) > 0 || robots.TotalCount == 0 {
		t.Errorf("answered %s", a.Body)
	}
}
