package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// verifying verifies callers' tokens.
func verifying(s *settings, _ *consolesim.Server) { s.VerifyTokens = "on" }

func TestVerifiedTokens(t *testing.T) { eitherWay(t, verifiedTokens) }

func verifiedTokens(t *testing.T, caching func(*settings, *consolesim.Server)) {
	var late atomic.Int64 // of the console's clock, in seconds
	w := newWorld(t, consolesim.Options{
		TokenLifetime: time.Minute,
		Now:           func() time.Time { return time.Now().Add(time.Duration(late.Load()) * time.Second) },
	}, strict, verifying, caching)
	solo := w.sim.Data().SoloUser()
	scoped := func(header map[string]string) request {
		return request{header: with(header, in(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]]))}
	}
	good := w.as(solo.Username)
	w.answersOf(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]], scoped(good))

	late.Store(-3600)
	expired := w.as(solo.Username)
	late.Store(0)
	parts := strings.Split(strings.TrimPrefix(good["Authorization"], "Bearer "), ".")
	another := strings.Split(w.sim.Token("demo"), ".")
	forged := bearer(parts[0] + "." + another[1] + "." + parts[2])
	w.refused(scopeQuery, scoped(forged)) // the SSO is asked once whether it has a new key of that name
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for name, header := range map[string]map[string]string{
		"expired":          expired,
		"another's claims": forged,
		"unsigned":         bearer(none + "." + parts[1] + "."),
		"opaque":           bearer("abcdef"),
	} {
		t.Run(name, func(t *testing.T) {
			w.sim.ResetCounts()
			a := w.ask(scopeQuery, scoped(header))
			if e := w.onlyError(a); a.Status != http.StatusUnauthorized || e.Extensions.Code != "UNAUTHENTICATED" || e.Extensions.Console != nil {
				t.Errorf("answered %s", a.Body)
			}
			if strings.Contains(string(a.Body), parts[1]) {
				t.Errorf("the answer holds the token: %s", a.Body)
			}
			w.noCalls()
		})
	}
	t.Run("sessions and nobody are not concerned", func(t *testing.T) {
		if a := w.ask(`{ viewer { userName } }`, scoped(w.signIn(solo))); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
		if e := w.refused(scopeQuery, scoped(nil)); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the SSO away", func(t *testing.T) {
		defer w.sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/.well-known") }, consolesim.Fault{Status: 503})()
		w.answersOf(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]], scoped(good))
	})
}

// TestVerificationWithoutKeys: a gateway that has no keys yet trusts nobody, and
// says that it is not the caller's fault.
func TestVerificationWithoutKeys(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict, verifying)
	defer w.sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/.well-known") }, consolesim.Fault{Status: 500})()
	a := w.ask(scopeQuery, request{header: w.as("demo")})
	if e := w.onlyError(a); a.Status != http.StatusServiceUnavailable || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("answered %s", a.Body)
	}
	if n := w.calls()["GET /openapi/workflows"]; n != 0 {
		t.Errorf("the console was asked %d times", n)
	}
}
