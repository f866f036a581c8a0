package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// strict refuses callers without credentials.
func strict(s *settings, _ *consolesim.Server) { s.Anonymous = false }

type viewerAnswer struct {
	Viewer    struct{ UserName, ID string }
	Companies []struct{ ID, CompanyUserID string }
}

func TestPassThroughSeesItsOwn(t *testing.T) { eitherWay(t, passThroughSeesItsOwn) }

func passThroughSeesItsOwn(t *testing.T, caching func(*settings, *consolesim.Server)) {
	w := newWorld(t, consolesim.Options{}, strict, noDefault, caching)
	var wait sync.WaitGroup
	for _, u := range w.sim.Data().Users() {
		for range 8 {
			wait.Go(func() {
				a := w.ask(`{ viewer { userName id } companies { id companyUserId } }`,
					request{header: with(w.as(u.Username), in(u.CompanyIDs[0], ""))})
				if len(a.Errors) > 0 {
					t.Errorf("%s: %s", u.Username, a.Body)
					return
				}
				got := decode[viewerAnswer](t, a.Data)
				if got.Viewer.UserName != u.Username || got.Viewer.ID != u.Memberships[u.CompanyIDs[0]] {
					t.Errorf("%s is told to be %+v", u.Username, got.Viewer)
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

func TestTokensThatTheConsoleRefuses(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict)
	good := w.as(w.sim.Data().SoloUser().Username)
	w.sim.ExpireTokens()
	for name, header := range map[string]map[string]string{
		"expired": good,
		"garbage": {"Authorization": "Bearer gar.ba-ge_/+~=="},
	} {
		t.Run(name, func(t *testing.T) {
			w.sim.ResetCounts()
			a := w.ask(`{ workflows { totalCount } }`, request{header: header})
			e := w.onlyError(a)
			if e.Extensions.Code != "UNAUTHENTICATED" || e.fieldPath() != "workflows" || e.Extensions.Console["status"] != 401.0 {
				t.Errorf("answered %s", a.Body)
			}
			if diff := cmp.Diff(counts{workflows: 1}, w.calls()); diff != "" {
				t.Errorf("the gateway did more than ask once: %s", diff)
			}
			if strings.Contains(string(a.Body), strings.TrimPrefix(header["Authorization"], "Bearer ")) {
				t.Errorf("the answer holds the token: %s", a.Body)
			}
		})
	}
}

func TestCredentialsThatCannotBeUsed(t *testing.T) {
	for name, anonymous := range map[string]bool{"anonymous callers welcome": true, "credentials required": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.Anonymous = anonymous })
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
				{"X-Api-Key": "secret-token", "Authorization": "Bearer " + w.sim.Token("demo")},
			} {
				w.sim.ResetCounts()
				resp, body := w.send(http.MethodPost, "/graphql", `{"query":"{ __typename }"}`, with(map[string]string{"Content-Type": "application/json"}, header))
				a := decode[answer](t, body)
				a.Body = body
				e := w.onlyError(a)
				if resp.StatusCode != http.StatusUnauthorized || e.Extensions.Code != "UNAUTHENTICATED" || resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%v: status %d, %s", header, resp.StatusCode, body)
				}
				if strings.Contains(string(body), "secret") || a.Data != nil {
					t.Errorf("%v: %s", header, body)
				}
				w.noCalls()
			}
		})
	}
}

func TestTwoAuthorizationHeadersAreRefused(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/graphql", strings.NewReader(`{"query":"{ viewer { name } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type":  {"application/json"},
		"Authorization": {w.as("demo")["Authorization"], w.as("solo")["Authorization"]},
	}
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", resp.StatusCode)
	}
	w.noCalls()
}

func TestCallersWithoutCredentials(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict)
	for _, query := range []string{
		`{ workflows { totalCount } }`, `{ companies { name } }`, `{ viewer { name } }`, `{ rootDepartment { name } }`,
		`{ workflow(id: "00000000-0000-4000-8000-000000000000") { name } }`,
	} {
		e := w.refused(query, request{})
		if e.Extensions.Code != "UNAUTHENTICATED" || len(e.Path) != 1 {
			t.Errorf("%s: %+v", query, e)
		}
	}
	w.noCalls()
	for _, query := range []string{
		`{ __schema { types { name } } }`, `{ __type(name: "Robot") { fields { name } } }`, `{ __typename }`,
	} {
		if a := w.ask(query, request{}); len(a.Errors) > 0 || len(a.Data) < 20 {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	w.noCalls()
}

func TestServiceAccountIsNotAskedForPassThrough(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	u := w.sim.Data().SoloUser()
	header := w.as(u.Username)
	a := w.ask(scopeQuery, request{header: with(header, in(u.CompanyIDs[0], ""))})
	if len(a.Errors) > 0 {
		t.Fatalf("answered %s", a.Body)
	}
	for _, r := range w.sim.Requests() {
		if got := r.Header.Get("Authorization"); got != header["Authorization"] {
			t.Errorf("%s was asked as somebody else", r.Operation)
		}
		if r.Header.Get("X-Api-Key") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("%s was sent the caller's headers: %v", r.Operation, r.Header)
		}
	}
}

// TestServiceAccountRecoversFromARevokedToken lets the console refuse the
// gateway's token long before its time.
func TestServiceAccountRecoversFromARevokedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{})
	w.query(`{ viewer { userName } }`, nil)
	time.Sleep(1100 * time.Millisecond) // a younger token would be kept
	w.sim.ExpireTokens()
	w.query(`{ viewer { userName } }`, nil)
}
