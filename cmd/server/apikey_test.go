package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/consolesim"
)

// keyring is a file of API keys in the making.
type keyring struct {
	t        testing.TB
	accounts string
	keys     string
}

// account adds a service account.
func (k *keyring) account(name string, u consolesim.User) {
	k.accounts += fmt.Sprintf("  - {name: %s, username: %q, password: %q}\n", name, u.Username, u.Password)
}

// key adds a key with limits, a part of the file, and returns the header that shows it.
func (k *keyring) key(name, account, limits string) map[string]string {
	key, hash := apikey.New()
	k.keys += fmt.Sprintf("  - {name: %s, account: %s, hash: %q%s}\n", name, account, hash, limits)
	return map[string]string{"X-Api-Key": key}
}

// write writes the file and returns its path.
func (k *keyring) write() string {
	k.t.Helper()
	path := filepath.Join(k.t.TempDir(), "keys.yaml")
	if err := os.WriteFile(path, []byte("accounts:\n"+k.accounts+"keys:\n"+k.keys), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

func TestAPIKeys(t *testing.T) { eitherWay(t, apiKeys) }

func apiKeys(t *testing.T, caching func(*settings, *consolesim.Server)) {
	var solo, restricted, plain, narrow, reader, robots map[string]string
	w := newWorld(t, consolesim.Options{}, strict, noDefault, caching, func(s *settings, sim *consolesim.Server) {
		k := &keyring{t: t}
		d := sim.Data()
		main := d.MainCompanyID()
		k.account("solo", d.SoloUser())
		k.account("restricted", d.RestrictedUser())
		k.account("owner", d.Users()[0])
		solo = k.key("solo", "solo", "")
		restricted = k.key("restricted", "restricted", "")
		plain = k.key("plain", "default", "")
		narrow = k.key("narrow", "owner", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", main, d.MainDepartmentID()))
		reader = k.key("reader", "owner", ", operations: [query]")
		robots = k.key("robots", "owner", ", fields: [robots, robot]")
		s.APIKeysFile = k.write()
	})
	d := w.sim.Data()
	main, dept := d.MainCompanyID(), d.MainDepartmentID()
	viewer := func(header map[string]string) string {
		t.Helper()
		a := w.ask(`{ viewer { userName } }`, request{header: header})
		if len(a.Errors) > 0 {
			return a.Errors[0].Extensions.Code
		}
		return decode[struct{ Viewer struct{ UserName string } }](t, a.Data).Viewer.UserName
	}

	t.Run("each acts as its account", func(t *testing.T) {
		for want, header := range map[string]map[string]string{
			d.SoloUser().Username:       solo,
			d.RestrictedUser().Username: with(restricted, in(main, "")),
			d.Users()[0].Username:       with(plain, in(main, "")),
		} {
			if got := viewer(header); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("a key for one department in its company", func(t *testing.T) {
		if a := w.ask(`{ robots { totalCount } }`, request{header: with(narrow, in(main, ""))}); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("unknown keys", func(t *testing.T) {
		w.sim.ResetCounts()
		for _, key := range []string{"x", plain["X-Api-Key"] + "x", plain["X-Api-Key"][1:]} {
			resp, body := w.send(http.MethodPost, "/graphql", `{"query":"{ viewer { name } }"}`, with(jsonBody, map[string]string{"X-Api-Key": key}))
			if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "UNAUTHENTICATED") {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
		}
		w.noCalls()
	})
	t.Run("a key beside a token", func(t *testing.T) {
		w.sim.ResetCounts()
		a := w.ask(`{ viewer { name } }`, request{header: with(plain, w.as("demo"))})
		if e := w.onlyError(a); a.Status != http.StatusUnauthorized || e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("answered %s", a.Body)
		}
		w.noCalls()
	})
	t.Run("a key for queries", func(t *testing.T) {
		w.sim.ResetCounts()
		if e := w.refused(`mutation { deleteQueue(input: {id: "`+d.QueueIDs(dept)[0]+`"}) { deletedId } }`, request{header: with(reader, in(main, dept))}); e.Extensions.Code != "FORBIDDEN" || !strings.Contains(e.Message, "mutation") {
			t.Errorf("%+v", e)
		}
		w.noCalls()
		w.answersOf(main, dept, request{header: with(reader, in(main, dept))})
	})
	t.Run("a key for some fields", func(t *testing.T) {
		w.sim.ResetCounts()
		for _, query := range []string{
			scopeQuery, `{ robots { totalCount } queues { totalCount } }`, `query { ...f } fragment f on Query { queues { totalCount } }`,
			`{ ... on Query { mine: viewer { name } } }`, `query($no: Boolean = false) { queues @include(if: $no) { totalCount } }`,
		} {
			if e := w.refused(query, request{header: with(robots, in(main, dept))}); e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("%s: %+v", query, e)
			}
		}
		w.noCalls()
		a := w.ask(`{ __typename __schema { queryType { name } } robots(first: 1) { nodes { name company { name } } } }`, request{header: with(robots, in(main, dept))})
		if len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("a key for one department", func(t *testing.T) {
		w.answersOf(main, dept, request{header: narrow}) // its only scope need not be named
		sibling := d.Departments(main)[2].ID
		for name, header := range map[string]map[string]string{
			"another department": in(main, sibling), "another company": in(d.Companies()[1].ID, d.Companies()[1].RootDepartmentID),
		} {
			w.sim.ResetCounts()
			if e := w.refused(scopeQuery, request{header: with(narrow, header)}); e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("%s: %+v", name, e)
			}
			w.noCalls()
		}
		// Neither does any way through the graph lead out of it.
		w.sim.ResetCounts()
		a := w.ask(`{ companies { id departments { id robots { nodes { name } } queues { totalCount } } } }`, request{header: narrow})
		got := decode[struct {
			Companies []struct {
				ID          string
				Departments []struct {
					ID     string
					Robots *struct{ Nodes []struct{ Name string } }
				}
			}
		}](t, a.Data)
		if len(got.Companies) != 1 || got.Companies[0].ID != main {
			t.Fatalf("it sees %d companies", len(got.Companies))
		}
		for _, seen := range got.Companies[0].Departments {
			if (seen.Robots != nil) != (seen.ID == dept) {
				t.Errorf("department %s is answered: %v", seen.ID, seen.Robots != nil)
			}
		}
		for _, r := range w.sim.Requests() {
			if r.DepartmentID != "" && r.DepartmentID != dept || r.CompanyID != "" && r.CompanyID != main {
				t.Errorf("%s was asked in %s, %s", r.Operation, r.CompanyID, r.DepartmentID)
			}
		}
		for _, e := range a.Errors {
			if e.Extensions.Code != "FORBIDDEN" {
				t.Errorf("%+v", e)
			}
		}
		// A new queue cannot be smuggled into another department by its input.
		w.sim.ResetCounts()
		e := w.refused(`mutation { createQueue(input: {name: "q", departmentId: "`+sibling+`"}) { queue { id } } }`, request{header: narrow})
		if e.Extensions.Code != "FORBIDDEN" || w.calls()["POST /openapi/queues/{queueId}"] != 0 {
			t.Errorf("%+v, %v", e, w.calls())
		}
	})
	t.Run("nobody", func(t *testing.T) {
		w.sim.ResetCounts()
		if e := w.refused(scopeQuery, request{header: in(main, dept)}); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%+v", e)
		}
		w.noCalls()
	})
	for _, header := range []map[string]string{solo, plain, narrow} {
		if strings.Contains(w.logs.String(), header["X-Api-Key"]) {
			t.Error("the log holds an API key")
		}
	}
}
