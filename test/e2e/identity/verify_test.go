package identity

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestVerifiedTokens(t *testing.T) { e2e.WithAndWithoutCache(t, verifiedTokens) }

func verifiedTokens(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
	var late atomic.Int64 // delay of the console's clock, in seconds
	w := e2e.NewWorld(t, consolesim.Options{
		TokenLifetime: time.Minute,
		Now:           func() time.Time { return time.Now().Add(time.Duration(late.Load()) * time.Second) },
	}, e2e.WithoutAnonymous, e2e.VerifyTokens, caching)
	solo := w.Sim.Data().SoloUser()
	scoped := func(header map[string]string) e2e.Request {
		return e2e.Request{Header: e2e.MergeHeaders(header, e2e.ScopeHeader(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]]))}
	}
	good := w.TokenHeader(solo.Username)
	w.CheckWorkflowsOf(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]], scoped(good))

	late.Store(-3600)
	expired := w.TokenHeader(solo.Username)
	late.Store(0)
	parts := strings.Split(strings.TrimPrefix(good["Authorization"], "Bearer "), ".")
	another := strings.Split(w.Sim.Token("demo"), ".")
	forged := e2e.Bearer(parts[0] + "." + another[1] + "." + parts[2])
	w.ExpectRefusal(e2e.ScopeQuery, scoped(forged)) // the SSO is asked once for a new key of that name
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for name, header := range map[string]map[string]string{
		"expired":          expired,
		"another's claims": forged,
		"unsigned":         e2e.Bearer(none + "." + parts[1] + "."),
		"opaque":           e2e.Bearer("abcdef"),
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(e2e.ScopeQuery, scoped(header))
			if e := w.OnlyError(a); a.Status != http.StatusUnauthorized || e.Extensions.Code != "UNAUTHENTICATED" || e.Extensions.Console != nil {
				t.Errorf("answered %s", a.Body)
			}
			if strings.Contains(string(a.Body), parts[1]) {
				t.Errorf("the answer holds the token: %s", a.Body)
			}
			w.CheckNoCalls()
		})
	}
	t.Run("sessions and nobody are not concerned", func(t *testing.T) {
		if a := w.Ask(`{ viewer { userName } }`, scoped(w.SignIn(solo))); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
		if e := w.ExpectRefusal(e2e.ScopeQuery, scoped(nil)); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the SSO away", func(t *testing.T) {
		defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/.well-known") }, consolesim.Fault{Status: 503})()
		w.CheckWorkflowsOf(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]], scoped(good))
	})
}

// TestVerificationWithoutKeys verifies that a gateway without keys rejects all tokens, with an
// error that does not blame the caller.
func TestVerificationWithoutKeys(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.VerifyTokens)
	defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/.well-known") }, consolesim.Fault{Status: 500})()
	a := w.Ask(e2e.ScopeQuery, e2e.Request{Header: w.TokenHeader("demo")})
	if e := w.OnlyError(a); a.Status != http.StatusServiceUnavailable || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("answered %s", a.Body)
	}
	if n := w.Calls()["GET /openapi/workflows"]; n != 0 {
		t.Errorf("the console was asked %d times", n)
	}
}
