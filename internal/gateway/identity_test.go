package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// newGrants returns the grants of the SSO at a URL.
func newGrants(t *testing.T, url string) grants {
	t.Helper()
	sso, err := consoleclient.NewSSO(consoleclient.Options{SSOURL: url, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sso.CloseIdleConnections)
	return grants{sso}
}

// TestUnknownRefreshOutcomes: an unknown outcome ends no session.
func TestUnknownRefreshOutcomes(t *testing.T) {
	answers := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc // nil: nobody listens
	}{
		"nobody listens": {nil},
		"500":            {answers(http.StatusInternalServerError)},
		"503":            {answers(http.StatusServiceUnavailable)},
		"429":            {answers(http.StatusTooManyRequests)},
		"404":            {answers(http.StatusNotFound)},
		"502 of a proxy": {answers(http.StatusBadGateway)},
		"504 of a proxy": {answers(http.StatusGatewayTimeout)},
		"no token":       {answers(http.StatusOK)},
		"a lost answer":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}, //nolint:forbidigo // the way to abort a handler in net/http
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte(`{"a`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sso := httptest.NewServer(tt.answer)
			t.Cleanup(sso.Close)
			if tt.answer == nil {
				sso.Close()
			}
			_, err := newGrants(t, sso.URL).Refresh(t.Context(), "refresh")
			var g *tokencache.GrantError
			if !errors.As(err, &g) || g.Reason != tokencache.Unavailable {
				t.Errorf("%+v", g)
			}
		})
	}
}

// TestSSORetryAfter: the SSO's own pause is kept whole, and one that an intermediary asks for in part.
func TestSSORetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status              int
		contentType, answer string
		asked               string
		want                time.Duration
	}{
		"the SSO":            {http.StatusTooManyRequests, "application/json", `{"error":"slow_down"}`, "60", time.Minute},
		"a page":             {http.StatusTooManyRequests, "text/html", "<html>", "3600", consoleclient.MaxProxyRetryAfter},
		"a text":             {http.StatusServiceUnavailable, "text/plain", "maintenance", "3600", consoleclient.MaxProxyRetryAfter},
		"a page, for less":   {http.StatusServiceUnavailable, "text/html", "<html>", "2", 2 * time.Second},
		"a page without one": {http.StatusServiceUnavailable, "text/html", "<html>", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sso := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.Header().Set("Retry-After", tt.asked)
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer))
			}))
			t.Cleanup(sso.Close)
			_, err := newGrants(t, sso.URL).Password(t.Context(), "user", "password")
			var g *tokencache.GrantError
			if !errors.As(err, &g) || g.RetryAfter != tt.want {
				t.Errorf("got %+v, want a pause of %v", g, tt.want)
			}
		})
	}
}

// TestTokenLifetimeStartsAtRequest: the duration of the response does not extend a token's lifetime.
func TestTokenLifetimeStartsAtRequest(t *testing.T) {
	const takes, life = 100 * time.Millisecond, time.Minute
	sim, err := consolesim.Start(context.Background(), consolesim.Options{TokenLifetime: life})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	username, password := sim.DefaultUser()
	g := newGrants(t, sim.SSOURL())
	sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodPost }, consolesim.Fault{Delay: takes})
	check := func(token tokencache.Token, err error) string {
		t.Helper()
		if latest := time.Now().Add(life - takes); err != nil || token.Expires.After(latest) {
			t.Errorf("it expires %v too late, %v", token.Expires.Sub(latest), err)
		}
		return token.Refresh
	}
	refresh := check(g.Password(t.Context(), username, password))
	check(g.Refresh(t.Context(), refresh))
}

// TestSharedNamesAreStable: shared names never change, because replicas of two versions find each other's idempotency
// keys by them. A changed name would repeat a mutation.
func TestSharedNamesAreStable(t *testing.T) {
	g := &Gateway{realm: "realm\n"}
	g.usernames.Store(&map[string]string{principal.DefaultAccount: "demo", "dashboards": "svc"})
	limits := &principal.Limits{Scopes: []principal.ScopeLimit{{CompanyID: "c", DepartmentIDs: []string{"d"}}}}
	for name, tt := range map[string]struct {
		of   principal.Principal
		want string
	}{
		"a token":                  {principal.FromToken("token"), "realm\ntoken:3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"},
		"a verified token":         {principal.Verified("token", "user", time.Now()), "realm\nuser:user"},
		"a session":                {principal.FromSession("cqs_token"), "realm\nsession:0a608bdd052a100de35c9b1975a6f5fc729b30a920a8ea6d7520701de20852ba"},
		"the default account":      {principal.DefaultService(), "realm\nservice:default\ndemo"},
		"an account":               {principal.ForAccount("dashboards", nil), "realm\nservice:dashboards\nsvc"},
		"an account, by its key":   {principal.ForAccount("dashboards", limits), "realm\nservice:dashboards#1fb5dd54214e9d2a\nsvc"},
		"its idempotency keys":     {principal.ForAccount("dashboards", limits).WithoutLimits(), "realm\nservice:dashboards\nsvc"},
		"who shows nothing at all": {principal.Principal{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := g.sharedName(tt.of); got != tt.want {
				t.Errorf("%q, not %q", got, tt.want)
			}
		})
	}
}
