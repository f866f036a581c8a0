package caching

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestWarmAnswerMakesNoCalls verifies that neither the same query nor another one over the same
// data calls the console, and that the answers are equal.
func TestWarmAnswerMakesNoCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	cold := w.Ask(e2e.JoinQuery, e2e.Request{})
	if len(cold.Errors) > 0 {
		t.Fatalf("%s", cold.Body)
	}
	var warm e2e.Answer
	if n := w.CallsOf(func() { warm = w.Ask(e2e.JoinQuery, e2e.Request{}) }); len(n) > 0 {
		t.Errorf("the same query made calls: %v", n)
	}
	if diff := cmp.Diff(string(cold.Body), string(warm.Body)); diff != "" {
		t.Error(diff)
	}
	if n := w.CallsOf(func() { w.Query(e2e.JoinQuery+" # said otherwise", nil) }); len(n) > 0 {
		t.Errorf("another query over the same data made calls: %v", n)
	}
	if n := w.CallsOf(func() { w.Query(`{ workflows(first: 1) { nodes { name } } }`, nil) }); len(n) > 1 {
		t.Errorf("a shorter list made calls: %v", n)
	}
}

// TestCachedAnswerHeaders verifies the caching headers of a cached answer.
func TestCachedAnswerHeaders(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	get := func(header map[string]string) (*http.Response, []byte) {
		return w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(e2e.JoinQuery), "", header)
	}
	for _, which := range []string{"first", "second"} {
		resp, body := get(nil)
		maxAge := strings.TrimPrefix(resp.Header.Get("Cache-Control"), "private, max-age=")
		if n, err := strconv.Atoi(maxAge); err != nil || n < 3500 || n > 3600 {
			t.Errorf("%s: Cache-Control is %q", which, resp.Header.Get("Cache-Control"))
		}
		if age, err := strconv.Atoi(resp.Header.Get("Age")); err != nil || age < 0 || age > 300 {
			t.Errorf("%s: Age is %q", which, resp.Header.Get("Age"))
		}
		if !strings.Contains(strings.Join(resp.Header.Values("Vary"), ", "), "Authorization") {
			t.Errorf("%s: Vary is %q", which, resp.Header.Values("Vary"))
		}
		etag := resp.Header.Get("ETag")
		again, nothing := get(map[string]string{"If-None-Match": `"x", ` + etag})
		if etag == "" || again.StatusCode != http.StatusNotModified || len(nothing) != 0 || again.Header.Get("ETag") != etag {
			t.Errorf("%s: ETag %q gave status %d and %d bytes", which, etag, again.StatusCode, len(nothing))
		}
		if other, _ := get(map[string]string{"If-None-Match": `"x"`}); other.StatusCode != http.StatusOK {
			t.Errorf("%s: another ETag gave status %d", which, other.StatusCode)
		}
		zipped, packed := get(map[string]string{"Accept-Encoding": "gzip;q=0.9, br"})
		r, err := gzip.NewReader(strings.NewReader(string(packed)))
		if err != nil || zipped.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v, Content-Encoding %q", which, err, zipped.Header.Get("Content-Encoding"))
		}
		if plain, err := io.ReadAll(r); err != nil || string(plain) != string(body) || len(packed) >= len(body) {
			t.Errorf("%s: %v: %d bytes made of %d", which, err, len(packed), len(body))
		}
	}
	for what, body := range map[string]string{
		"a mutation": fmt.Sprintf(`{"query":"mutation { updateWorkflow(input: {id: \"%s\", priority: 9}) { workflow { id } } }"}`, w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]),
		"an error":   `{"query":"{ workflows(first: -1) { nodes { id } } }"}`,
	} {
		resp, _ := w.Send(http.MethodPost, "/graphql", body, map[string]string{"Content-Type": "application/json"})
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("ETag") != "" {
			t.Errorf("%s: %v", what, resp.Header)
		}
	}
}

// TestUncachedAnswerHeaders verifies Vary and Cache-Control: no-store on all other
// answers.
func TestUncachedAnswerHeaders(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*gateway.Settings, *consolesim.Server){"cache on": e2e.WithCache, "cache off": func(*gateway.Settings, *consolesim.Server) {}} {
		w := e2e.NewWorld(t, consolesim.Options{}, adjust)
		for what, ask := range map[string]func() *http.Response{
			"a list":        func() *http.Response { return get(w, e2e.ListQuery, map[string]string{"Cache-Control": "no-store"}) },
			"an error":      func() *http.Response { return get(w, `{ workflows(first: -1) { nodes { id } } }`, nil) },
			"no query":      func() *http.Response { return get(w, `{ cheese }`, nil) },
			"no credential": func() *http.Response { return get(w, e2e.ListQuery, map[string]string{"X-Api-Key": "made-up"}) },
			"a form": func() *http.Response {
				resp, _ := w.Send(http.MethodPost, "/graphql", "query="+url.QueryEscape(e2e.ListQuery), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
				return resp
			},
		} {
			resp := ask()
			if resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s (status %d): Cache-Control is %q", name, what, resp.StatusCode, resp.Header.Values("Cache-Control"))
			}
			if got := resp.Header.Values("Vary"); len(got) != 1 || !strings.Contains(got[0], "Authorization") {
				t.Errorf("%s, %s (status %d): Vary is %q", name, what, resp.StatusCode, got)
			}
		}
	}
}

// TestReadsAfterWrites verifies that a user sees a change in every query, and so do other
// users of the company.
func TestReadsAfterWrites(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	reads := []string{
		fmt.Sprintf(`{ workflow(id: %q) { priority } }`, id),
		fmt.Sprintf(`{ workflow(id: %q) { id priority } }`, id),
		`{ workflows(first: 100) { nodes { id priority } } }`,
	}
	user, _ := w.Sim.DefaultUser()
	for i := range 5 {
		priority := 100 + i
		for _, q := range reads {
			w.Query(q, nil)
			w.Ask(q, e2e.Request{Header: w.TokenHeader(user)})
		}
		w.Query(fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: %d}) { workflow { id priority } } }`, id, priority), nil)
		for _, q := range reads {
			for who, header := range map[string]map[string]string{"the writer": nil, "another": w.TokenHeader(user)} {
				a := w.Ask(q, e2e.Request{Header: header})
				if !strings.Contains(string(a.Data), fmt.Sprintf(`"priority":%d`, priority)) {
					t.Errorf("%s reads %s by %s after priority %d", who, a.Data, q, priority)
				}
			}
		}
	}
}

// TestNoCacheReloads verifies that no-cache reloads the data and replaces the entries.
func TestNoCacheReloads(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	query := fmt.Sprintf(`{ workflow(id: %q) { modifiedAt } }`, id)
	before := w.Ask(query, e2e.Request{})
	if !w.Sim.TouchWorkflow(id) {
		t.Fatal("no such workflow")
	}
	if a := w.Ask(query, e2e.Request{}); string(a.Body) != string(before.Body) {
		t.Fatal("a change behind the gateway's back is seen at once: this test shows nothing")
	}
	anew := w.Ask(query, e2e.Request{Header: e2e.NoCache})
	if string(anew.Body) == string(before.Body) {
		t.Errorf("with no-cache: %s", anew.Body)
	}
	if n := w.CallsOf(func() {
		if a := w.Ask(query, e2e.Request{}); string(a.Body) != string(anew.Body) {
			t.Errorf("afterwards: %s", a.Body)
		}
	}); len(n) > 0 {
		t.Errorf("what no-cache brought is not kept: %v", n)
	}
}

// TestConcurrentRequests verifies that concurrent requests for an expired answer share one round of
// calls.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	many := *e2e.Clients
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		e2e.WithCache(s, sim)
		s.CacheStaleWhileRevalidate = gateway.DurationsByKind{"workflows": 0, "packages": 0, "queues": 0, "robots": 0}
	})
	w.Query(e2e.JoinQuery, nil) // detects the console's capabilities, and recognises the query
	alone := w.CallsOf(func() { w.Ask(e2e.JoinQuery, e2e.Request{Header: e2e.NoCache}) })
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Query(fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id), nil) // all entries but those of packages have ended

	release := make(chan struct{})
	var arrived, ended sync.WaitGroup
	arrived.Add(many)
	bodies := make([]string, many)
	body, err := json.Marshal(map[string]any{"query": e2e.JoinQuery})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: many}}
	defer client.CloseIdleConnections()
	together := w.CallsOf(func() {
		for i := range many {
			ended.Go(func() {
				arrived.Done()
				<-release
				resp, err := client.Post(w.URL+"/graphql", "application/json", strings.NewReader(string(body)))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Error(err)
				}
				bodies[i] = string(text)
			})
		}
		arrived.Wait()
		close(release)
		ended.Wait()
	})
	for operation, n := range together {
		if n > alone[operation] {
			t.Errorf("%s: %d calls, one client alone makes %d", operation, n, alone[operation])
		}
	}
	for i, text := range bodies {
		if text != bodies[0] || strings.Contains(text, `"errors"`) {
			t.Fatalf("client %d: %.300s", i, text)
		}
	}
}

// TestSignOutClearsCache verifies that answers of a session are not used after its end.
func TestSignOutClearsCache(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	user, password := w.Sim.DefaultUser()
	a := w.Ask(fmt.Sprintf(`mutation { signIn(input: {username: %q, password: %q}) { sessionToken } }`, user, password), e2e.Request{})
	token := e2e.Decode[struct{ SignIn struct{ SessionToken string } }](t, a.Data).SignIn.SessionToken
	session := map[string]string{"Authorization": "Bearer " + token}
	for range 2 {
		if a := w.Ask(e2e.ListQuery, e2e.Request{Header: session}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
	}
	if a := w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	w.Sim.ResetCounts()
	e := w.ExpectRefusal(e2e.ListQuery, e2e.Request{Header: session})
	if e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
	w.CheckNoCalls()
}

// TestPrincipalsShareNoEntries verifies that principals share no entries.
func TestPrincipalsShareNoEntries(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	user, _ := w.Sim.DefaultUser()
	first, second := w.TokenHeader(user), w.TokenHeader(user) // two unverified tokens of one user are two principals
	for name, header := range map[string]map[string]string{"the default account": nil, "a token": first, "another token": second} {
		if n := w.CallsOf(func() { w.Ask(e2e.ListQuery, e2e.Request{Header: header}) }); len(n) == 0 {
			t.Errorf("%s was answered with what another was", name)
		}
	}
	for _, header := range []map[string]string{e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID()), nil} {
		if n := w.CallsOf(func() { w.Ask(e2e.ListQuery, e2e.Request{Header: header}) }); len(n) > 0 && header == nil {
			t.Errorf("the same principal and scope: %v", n)
		}
	}
	if e := w.ExpectRefusal(e2e.ListQuery, e2e.Request{Header: map[string]string{"Authorization": "Bearer made-up"}}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
}

// TestErrorsAreNotCached verifies that answers return as soon as the console does.
func TestErrorsAreNotCached(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	heal := w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, consolesim.Fault{Status: 403})
	query := `{ workflows(first: 5) { nodes { name queue { name } } } }`
	if a := w.Ask(query, e2e.Request{}); len(a.Errors) == 0 {
		t.Fatalf("%s", a.Body)
	}
	heal()
	if a := w.Ask(query, e2e.Request{}); len(a.Errors) > 0 {
		t.Errorf("the console is well, the answer is %s", a.Body)
	}
	missing := `{ workflow(id: "00000000-0000-4000-8000-000000000001") { name } }`
	w.Ask(missing, e2e.Request{})
	if n := w.CallsOf(func() { w.Ask(missing, e2e.Request{}) }); len(n) > 0 {
		t.Errorf("what does not exist was asked for again: %v", n)
	}
}

// TestPackageUpdateUsesCurrentETag verifies that an update reads the current ETag although an older
// package is cached.
func TestPackageUpdateUsesCurrentETag(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	var got struct {
		Packages struct{ Nodes []struct{ ID string } }
	}
	w.Query(`{ packages(first: 1) { nodes { id versions { id } } } }`, &got)
	id := got.Packages.Nodes[0].ID
	query := fmt.Sprintf(`{ package(id: %q) { versions { etag } } }`, id)
	w.Query(query, nil)
	if n := w.CallsOf(func() { w.Query(query, nil) }); len(n) > 0 {
		t.Fatalf("it is not kept: %v", n)
	}
	user, _ := w.Sim.DefaultUser()
	api, err := cc.New(cc.Options{APIURL: w.Sim.APIURL(), Tokens: ownToken(w.Sim.Token(user))})
	if err != nil {
		t.Fatal(err)
	}
	defer api.CloseIdleConnections()
	sc := scope.Scope{CompanyID: w.Sim.Data().MainCompanyID(), DepartmentID: w.Sim.Data().MainDepartmentID()}
	now, err := api.Package(t.Context(), sc, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.UpdatePackage(t.Context(), sc, id, cc.PackageUpdate{ETag: graphql.OmittableOf(now.ETag)}); err != nil {
		t.Fatal(err)
	}
	if a := w.TryMutation("updatePackage", map[string]any{"id": id, "tags": []string{"mine"}}, "package { tags }"); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}

// ownToken returns the same token for every call.
type ownToken string

func (o ownToken) Token(context.Context) (string, error) { return string(o), nil }
func (ownToken) Refused(context.Context, string)         {}

// get sends a query by GET.
func get(w *e2e.World, query string, header map[string]string) *http.Response {
	w.T.Helper()
	resp, _ := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", header)
	return resp
}
