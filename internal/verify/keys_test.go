package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/verify"
)

func TestKeysRotate(t *testing.T) {
	b := newFixture(t)
	if err := b.verify(t, b.token(t, nil)); err != nil {
		t.Fatal(err)
	}
	next := newSigner(t, "k2")
	b.publish(b.signer, next)
	b.move(time.Minute)
	if err := b.verify(t, sign(t, jose.RS256, next.key, "k2", b.claims(nil))); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	b.publish(next)
	b.move(2 * time.Hour)
	old := b.token(t, nil)
	if err := b.verify(t, old); err != nil {
		t.Errorf("a key is no longer good while the keys are looked at: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); b.verify(t, old) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a key that was withdrawn stays good")
		}
	}
}

// The first token causes the first fetch, which must not delay the fetch for the next key.
func TestConcurrentKeyRotations(t *testing.T) {
	b := newFixture(t)
	for _, id := range []string{"k1", "k2", "k3", "k3"} {
		next := newSigner(t, id)
		b.publish(next)
		if err := b.verify(t, sign(t, jose.RS256, next.key, id, b.claims(nil))); err != nil {
			t.Errorf("a token of the new key %s: %v", id, err)
		}
	}
}

// A failed fetch delays the next by only two seconds, so that callers wait little after an outage.
func TestKeysRecoverAfterOutage(t *testing.T) {
	var log bytes.Buffer
	b := newFixture(t)
	carrier := &http.Transport{}
	defer carrier.CloseIdleConnections()
	v, err := verify.New(verify.Options{SSOURL: b.URL, Now: b.now, Transport: carrier, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b.away.Store(true)
	for range 3 {
		b.move(3 * time.Second)
		if _, err := v.Verify(t.Context(), b.token(t, nil)); fault.CodeOf(err) != fault.UpstreamUnavailable {
			t.Errorf("while the SSO is away: %v", err)
		}
	}
	b.away.Store(false)
	b.move(3 * time.Second)
	if _, err := v.Verify(t.Context(), b.token(t, nil)); err != nil {
		t.Errorf("3 s after the SSO is back: %v", err)
	}
	v.Close()
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "failures=3") {
		t.Errorf("want one warning and a line with the count:\n%s", &log)
	}
}

// The id of a published key is optional; the signature decides.
func TestKeyWithoutID(t *testing.T) {
	b := newFixture(t)
	b.publish(signer{b.key, ""})
	for _, id := range []string{"", "k1"} {
		if err := b.verify(t, sign(t, jose.RS256, b.key, id, b.claims(nil))); err != nil {
			t.Errorf("a token that names the key %q: %v", id, err)
		}
	}
	if err := b.verify(t, sign(t, jose.RS256, newSigner(t, "k1").key, "k1", b.claims(nil))); fault.CodeOf(err) != fault.Unauthenticated {
		t.Errorf("a token of another key: %v", err)
	}
	second, named := newSigner(t, ""), newSigner(t, "k3")
	b.publish(signer{b.key, ""}, second, named)
	b.move(time.Minute)
	for _, s := range []signer{{b.key, ""}, {b.key, "k1"}, second, {second.key, "k1"}, named, {named.key, ""}} {
		if err := b.verify(t, sign(t, jose.RS256, s.key, s.id, b.claims(nil))); err != nil {
			t.Errorf("a token that names one of several keys %q: %v", s.id, err)
		}
	}
	if err := b.verify(t, sign(t, jose.RS256, named.key, "k1", b.claims(nil))); fault.CodeOf(err) != fault.Unauthenticated {
		t.Errorf("a token of a key with another id: %v", err)
	}
	fetches := b.fetches.Load()
	b.move(time.Minute)
	if err := b.verify(t, sign(t, jose.RS256, second.key, "", b.claims(nil))); err != nil || b.fetches.Load() != fetches {
		t.Errorf("a token of a known key: %v, %d fetches", err, b.fetches.Load()-fetches)
	}
}

// A restored SSO may sign with another key of the same id.
func TestReusedKeyID(t *testing.T) {
	b := newFixture(t)
	if err := b.verify(t, b.token(t, nil)); err != nil {
		t.Fatal(err)
	}
	next := newSigner(t, "k1")
	if b.id != next.id {
		t.Fatalf("the keys are called %s and %s", b.id, next.id)
	}
	b.publish(next)
	b.move(time.Minute)
	if err := b.verify(t, sign(t, jose.RS256, next.key, next.id, b.claims(nil))); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	if b.verify(t, b.token(t, nil)) == nil {
		t.Error("the key before stays good")
	}
	fetches := b.fetches.Load()
	for range 20 {
		if b.verify(t, b.token(t, nil)) == nil {
			t.Error("a token of no key is accepted")
		}
	}
	if n := b.fetches.Load() - fetches; n > 1 {
		t.Errorf("%d fetches of the keys for one bad token", n)
	}
}

func TestUnknownKeyFetchesAreLimited(t *testing.T) {
	b := newFixture(t)
	foreignToken := sign(t, jose.RS256, newSigner(t, "x").key, "x", b.claims(nil))
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			for range 20 {
				if err := b.verify(t, foreignToken); fault.CodeOf(err) != fault.Unauthenticated {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wait.Wait()
	if n := b.fetches.Load(); n != 1 {
		t.Errorf("1000 foreign tokens cost %d fetches", n)
	}
	b.move(11 * time.Second)
	if _ = b.verify(t, foreignToken); b.fetches.Load() != 2 {
		t.Errorf("%d fetches after a pause, want 2", b.fetches.Load())
	}
}

func TestSSOUnavailable(t *testing.T) {
	b := newFixture(t)
	b.away.Store(true)
	if err := b.verify(t, b.token(t, nil)); fault.CodeOf(err) != fault.UpstreamUnavailable {
		t.Errorf("without any keys: %v", err)
	}
	b.away.Store(false)
	b.move(11 * time.Second)
	if err := b.verify(t, b.token(t, nil)); err != nil {
		t.Fatalf("the SSO is back: %v", err)
	}
	b.away.Store(true)
	for range 3 {
		b.move(3 * time.Hour)
		if err := b.verify(t, b.token(t, nil)); err != nil {
			t.Errorf("with keys from before: %v", err)
		}
	}
	// A token of an unknown key may be that of a new one.
	next := newSigner(t, "k2")
	newer := sign(t, jose.RS256, next.key, next.id, b.claims(nil))
	for range 3 {
		b.move(time.Second)
		if err := b.verify(t, newer); fault.CodeOf(err) != fault.UpstreamUnavailable {
			t.Errorf("a token of an unknown key: %v", err)
		}
	}
	b.away.Store(false)
	b.publish(next)
	b.move(3 * time.Second)
	if err := b.verify(t, newer); err != nil {
		t.Errorf("a token of a new key after the outage: %v", err)
	}
}

func TestCallerCancels(t *testing.T) {
	b := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Either the keys arrived in time or the call failed with another code. The token must not be rejected.
	if _, err := b.verifier.Verify(ctx, b.token(t, nil)); fault.CodeOf(err) == fault.Unauthenticated {
		t.Error(err)
	}
}

func TestSimulatedConsole(t *testing.T) {
	sim, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	carrier := &http.Transport{}
	defer carrier.CloseIdleConnections()
	v, err := verify.New(verify.Options{SSOURL: sim.SSOURL(), Transport: carrier})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, u := range sim.Data().Users() {
		p, err := v.Verify(t.Context(), sim.Token(u.Username))
		if err != nil || p.Name() != "user:"+u.ID {
			t.Errorf("%s: %v, %v", u.Username, p, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, address := range []string{"", "nowhere", "ftp://x", "://"} {
		if _, err := verify.New(verify.Options{SSOURL: address}); err == nil {
			t.Errorf("%q is taken for an SSO", address)
		}
	}
}

// TestNoURLIsLogged verifies that neither the log nor an error repeats the URL of the keys, which may hold a secret. The
// URL is from the settings or from the discovery document.
func TestNoURLIsLogged(t *testing.T) {
	t.Parallel()
	discovery := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"i","jwks_uri":"http://user:CANARY@127.0.0.1:1/keys?code=CANARY"}`)
	}))
	t.Cleanup(discovery.Close)
	redirect := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/%zz?code=CANARY", http.StatusFound))
	t.Cleanup(redirect.Close)
	for name, o := range map[string]verify.Options{
		"settings":  {SSOURL: "http://127.0.0.1:1", Issuers: []string{"i"}, KeysURL: "http://127.0.0.1:1/keys?code=CANARY"},
		"discovery": {SSOURL: discovery.URL},
		"redirect":  {SSOURL: redirect.URL},
		"proxy": {SSOURL: discovery.URL, Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
			return nil, errors.New(`invalid proxy address "http://user:CANARY@%zz"`)
		}}},
	} {
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		if o.Transport == nil {
			o.Transport = &http.Transport{DisableKeepAlives: true}
		}
		v, err := verify.New(o)
		if err != nil {
			t.Fatal(err)
		}
		_, failed := v.Fetch(t.Context())
		_, refused := v.Verify(t.Context(), newFixture(t).token(t, nil))
		v.Close()
		if failed == nil || refused == nil || !strings.Contains(log.String(), "level=WARN") {
			t.Errorf("%s: %v, %v, %s", name, failed, refused, &log)
		}
		if all := fmt.Sprint(failed, refused, &log); strings.Contains(all, "CANARY") {
			t.Errorf("%s: %s", name, all)
		}
	}
}
