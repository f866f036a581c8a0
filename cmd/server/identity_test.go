package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// newGrants are those of an SSO.
func newGrants(t *testing.T, url string) grants {
	t.Helper()
	sso, err := consoleclient.NewSSO(consoleclient.Options{SSOURL: url, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sso.CloseIdleConnections)
	return grants{sso}
}

// TestAnUnspentRefreshToken is one of which the SSO has certainly made nothing: to use
// another again would end the session, and not to use this one again, too.
func TestAnUnspentRefreshToken(t *testing.T) {
	answers := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for name, tt := range map[string]struct {
		answer  http.HandlerFunc // nil: nobody listens
		unspent bool
	}{
		"nobody listens": {nil, true},
		"500":            {answers(http.StatusInternalServerError), true},
		"503":            {answers(http.StatusServiceUnavailable), true},
		"429":            {answers(http.StatusTooManyRequests), true},
		"404":            {answers(http.StatusNotFound), true},
		"502 of a proxy": {answers(http.StatusBadGateway), false},
		"504 of a proxy": {answers(http.StatusGatewayTimeout), false},
		"no token":       {answers(http.StatusOK), false},
		"a lost answer":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false}, //nolint:forbidigo // net/http's own way to do so
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte(`{"a`))
		}, false},
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
			if !errors.As(err, &g) || g.Reason != tokencache.Unavailable || g.Unspent != tt.unspent {
				t.Errorf("%+v", g)
			}
		})
	}
}

// TestATokenLivesFromItsRequest, however long its answer takes.
func TestATokenLivesFromItsRequest(t *testing.T) {
	const takes, life = 100 * time.Millisecond, time.Minute
	sim := newSim(t, consolesim.Options{TokenLifetime: life})
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
