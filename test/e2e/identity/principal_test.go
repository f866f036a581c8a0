package identity

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

type viewerAnswer struct {
	Viewer    struct{ UserName, ID string }
	Companies []struct{ ID, CompanyUserID string }
}

func TestPassThroughReadsOwnData(t *testing.T) { e2e.WithAndWithoutCache(t, checkPassThrough) }

func checkPassThrough(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, caching)
	var wait sync.WaitGroup
	for _, u := range w.Sim.Data().Users() {
		for range 8 {
			wait.Go(func() {
				a := w.Ask(`{ viewer { userName id } companies { id companyUserId } }`,
					e2e.Request{Header: e2e.MergeHeaders(w.TokenHeader(u.Username), e2e.ScopeHeader(u.CompanyIDs[0], ""))})
				if len(a.Errors) > 0 {
					t.Errorf("%s: %s", u.Username, a.Body)
					return
				}
				got := e2e.Decode[viewerAnswer](t, a.Data)
				if got.Viewer.UserName != u.Username || got.Viewer.ID != u.Memberships[u.CompanyIDs[0]] {
					t.Errorf("%s sees itself as %+v", u.Username, got.Viewer)
				}
				if len(got.Companies) != len(u.CompanyIDs) {
					t.Errorf("%s sees %d companies, has %d", u.Username, len(got.Companies), len(u.CompanyIDs))
				}
				for _, c := range got.Companies {
					if c.CompanyUserID != u.Memberships[c.ID] {
						t.Errorf("%s is user %s of company %s", u.Username, c.CompanyUserID, c.ID)
					}
				}
			})
		}
	}
	wait.Wait()
}

func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous)
	good := w.TokenHeader(w.Sim.Data().SoloUser().Username)
	w.Sim.ExpireTokens()
	for name, header := range map[string]map[string]string{
		"expired": good,
		"garbage": {"Authorization": "Bearer gar.ba-ge_/+~=="},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(`{ workflows { totalCount } }`, e2e.Request{Header: header})
			e := w.OnlyError(a)
			if e.Extensions.Code != "UNAUTHENTICATED" || e.FieldPath() != "workflows" || e.Extensions.Console["status"] != 401.0 {
				t.Errorf("answered %s", a.Body)
			}
			if diff := cmp.Diff(e2e.Counts{e2e.Workflows: 1}, w.Calls()); diff != "" {
				t.Errorf("the gateway did more than ask once: %s", diff)
			}
			if strings.Contains(string(a.Body), strings.TrimPrefix(header["Authorization"], "Bearer ")) {
				t.Errorf("the answer holds the token: %s", a.Body)
			}
		})
	}
}

func TestUnusableCredentials(t *testing.T) {
	t.Parallel()
	for name, anonymous := range map[string]bool{"anonymous callers welcome": true, "credentials required": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.Anonymous = anonymous })
			for _, header := range []map[string]string{
				{"Authorization": "Basic dXNlcjpwYXNz"},
				{"Authorization": "Bearer"},
				{"Authorization": "Bearer "},
				{"Authorization": "secret-token"},
				{"Authorization": "Bearer secret token"},
				{"Authorization": "Bearer secret,token"},
				{"Authorization": "Bearer \"secret-token\""},
				{"Authorization": "Bearer secret-tokén"},
				{"X-Api-Key": "secret-token"},
				{"X-Api-Key": "secret-token", "Authorization": "Bearer " + w.Sim.Token("demo")},
			} {
				w.Sim.ResetCounts()
				resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"{ __typename }"}`, e2e.MergeHeaders(map[string]string{"Content-Type": "application/json"}, header))
				a := e2e.Decode[e2e.Answer](t, body)
				a.Body = body
				e := w.OnlyError(a)
				if resp.StatusCode != http.StatusUnauthorized || e.Extensions.Code != "UNAUTHENTICATED" || resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%v: status %d, %s", header, resp.StatusCode, body)
				}
				if strings.Contains(string(body), "secret") || a.Data != nil {
					t.Errorf("%v: %s", header, body)
				}
				w.CheckNoCalls()
			}
		})
	}
}

func TestTwoAuthorizationHeadersAreRefused(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", strings.NewReader(`{"query":"{ viewer { name } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type":  {"application/json"},
		"Authorization": {w.TokenHeader("demo")["Authorization"], w.TokenHeader("solo")["Authorization"]},
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", resp.StatusCode)
	}
	w.CheckNoCalls()
}

func TestCallersWithoutCredentials(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous)
	for _, query := range []string{
		`{ workflows { totalCount } }`, `{ companies { name } }`, `{ viewer { name } }`, `{ rootDepartment { name } }`,
		`{ workflow(id: "00000000-0000-4000-8000-000000000000") { name } }`,
	} {
		e := w.ExpectRefusal(query, e2e.Request{})
		if e.Extensions.Code != "UNAUTHENTICATED" || len(e.Path) != 1 {
			t.Errorf("%s: %+v", query, e)
		}
	}
	w.CheckNoCalls()
	for _, query := range []string{
		`{ __schema { types { name } } }`, `{ __type(name: "Robot") { fields { name } } }`, `{ __typename }`,
	} {
		if a := w.Ask(query, e2e.Request{}); len(a.Errors) > 0 || len(a.Data) < 20 {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	w.CheckNoCalls()
}

func TestPassThroughNeedsNoServiceAccount(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	u := w.Sim.Data().SoloUser()
	header := w.TokenHeader(u.Username)
	a := w.Ask(e2e.ScopeQuery, e2e.Request{Header: e2e.MergeHeaders(header, e2e.ScopeHeader(u.CompanyIDs[0], ""))})
	if len(a.Errors) > 0 {
		t.Fatalf("answered %s", a.Body)
	}
	for _, r := range w.Sim.Requests() {
		if got := r.Header.Get("Authorization"); got != header["Authorization"] {
			t.Errorf("%s was asked as somebody else", r.Operation)
		}
		if r.Header.Get("X-Api-Key") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("%s was sent the caller's headers: %v", r.Operation, r.Header)
		}
	}
}

// TestServiceAccountRecoversFromRevokedToken makes the console refuse the gateway's token
// long before its expiry.
func TestServiceAccountRecoversFromRevokedToken(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.Query(`{ viewer { userName } }`, nil)
	time.Sleep(1100 * time.Millisecond) // the gateway would not refresh a younger token
	w.Sim.ExpireTokens()
	w.Query(`{ viewer { userName } }`, nil)
}
