package verify_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sso publishes keys, counts how often it is asked, and can be away.
type sso struct {
	*httptest.Server
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	issuer  string
	away    atomic.Bool
	fetches atomic.Int64
}

func newSSO(t *testing.T) *sso {
	t.Helper()
	s := &sso{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.issuer, "jwks_uri": s.URL + "/keys"})
		case "/keys":
			s.fetches.Add(1)
			// What is of no use here must do no harm.
			odd := []any{map[string]string{"kty": "OKP", "crv": "unheard-of"}, map[string]string{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}}
			for _, k := range s.keys {
				odd = append(odd, k)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": odd})
		}
	}))
	s.issuer = s.URL
	t.Cleanup(s.Close)
	return s
}

// signer signs tokens as the SSO does.
type signer struct {
	key *rsa.PrivateKey
	id  string
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, id}
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: &s.key.PublicKey, KeyID: s.id, Algorithm: "RS256", Use: "sig"}
}

func (s *sso) publish(signers ...signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = nil
	for _, k := range signers {
		s.keys = append(s.keys, k.public())
	}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	maker, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(maker).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// clock is a clock that a test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }

type bench struct {
	*sso
	*clock
	signer
	verifier *verify.Verifier
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{sso: newSSO(t), clock: &clock{}, signer: newSigner(t, "k1")}
	b.at.Store(time.Now().UnixNano())
	b.publish(b.signer)
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	var err error
	if b.verifier, err = verify.New(verify.Options{SSOURL: b.URL, Now: b.now, Transport: carrier}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.verifier.Close)
	return b
}

// claims are good ones, with changes; a nil takes one away.
func (b *bench) claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": b.issuer, "aud": "apigateway", "userid": "u-1", "sub": "u-1",
		"nbf": b.now().Unix(), "iat": b.now().Unix(), "exp": b.now().Add(time.Hour).Unix(),
	}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func (b *bench) token(t *testing.T, changes map[string]any) string {
	t.Helper()
	return sign(t, jose.RS256, b.key, b.id, b.claims(changes))
}

func TestGoodTokens(t *testing.T) {
	b := newBench(t)
	for name, changes := range map[string]map[string]any{
		"plain":                  nil,
		"several audiences":      {"aud": []string{"x", "apigateway"}},
		"a clock a bit behind":   {"nbf": b.now().Add(30 * time.Second).Unix()},
		"expired a moment ago":   {"exp": b.now().Add(-3 * time.Second).Unix()},
		"without nbf and iat":    {"nbf": nil, "iat": nil},
		"with a fractional time": {"exp": float64(b.now().Unix()) + 100.5},
	} {
		t.Run(name, func(t *testing.T) {
			token := b.token(t, changes)
			p, err := b.verifier.Verify(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			if p.Kind() != principal.PassThrough || p.Name() != "user:u-1" || p.Token() != token {
				t.Errorf("got %v, %s", p, p.Kind())
			}
			if at, ok := p.Expires(); !ok || at.Before(b.now()) || at.After(b.now().Add(time.Hour+time.Minute)) {
				t.Errorf("expires at %v, %v", at, ok)
			}
		})
	}
}

func TestBadTokens(t *testing.T) {
	b := newBench(t)
	other := newSigner(t, "k1")
	good := b.token(t, nil)
	parts := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	forged, err := json.Marshal(b.claims(map[string]any{"userid": "somebody-else"}))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&b.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	short := sha256.Sum256(publicPEM)
	for name, token := range map[string]string{
		"another's claims":          parts[0] + "." + enc(forged) + "." + parts[2],
		"alg none":                  enc([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"alg none, signature kept":  enc([]byte(`{"alg":"none","kid":"k1"}`)) + "." + parts[1] + "." + parts[2],
		"HS256 by the public key":   sign(t, jose.HS256, publicPEM, "k1", b.claims(nil)),
		"HS256 by its hash":         sign(t, jose.HS256, short[:], "k1", b.claims(nil)),
		"HS256 by a published key":  sign(t, jose.HS256, []byte("secretsecretsecretsecretsecretse"), "oct", b.claims(nil)),
		"RS512":                     sign(t, jose.RS512, b.key, "k1", b.claims(nil)),
		"PS256":                     sign(t, jose.PS256, b.key, "k1", b.claims(nil)),
		"signed by another":         sign(t, jose.RS256, other.key, "k1", b.claims(nil)),
		"an unknown key":            sign(t, jose.RS256, other.key, "k9", b.claims(nil)),
		"another issuer":            b.token(t, map[string]any{"iss": "http://elsewhere"}),
		"no issuer":                 b.token(t, map[string]any{"iss": nil}),
		"another audience":          b.token(t, map[string]any{"aud": "billing"}),
		"no audience":               b.token(t, map[string]any{"aud": nil}),
		"expired":                   b.token(t, map[string]any{"exp": b.now().Add(-10 * time.Second).Unix()}),
		"long expired":              b.token(t, map[string]any{"exp": b.now().Add(-time.Hour).Unix()}),
		"no expiry":                 b.token(t, map[string]any{"exp": nil}),
		"not valid yet":             b.token(t, map[string]any{"nbf": b.now().Add(2 * time.Minute).Unix()}),
		"from the future":           b.token(t, map[string]any{"iat": b.now().Add(2 * time.Minute).Unix()}),
		"no user":                   b.token(t, map[string]any{"userid": nil}),
		"an empty user":             b.token(t, map[string]any{"userid": ""}),
		"a user that is no text":    b.token(t, map[string]any{"userid": 7}),
		"cut":                       good[:len(good)-2],
		"two parts":                 parts[0] + "." + parts[1],
		"opaque":                    "abc",
		"empty":                     "",
		"too long":                  good + strings.Repeat("A", 32<<10),
		"a key that comes with it":  embedded(t, other, b.claims(nil)),
		"the end of it is gone off": good + "AA",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := b.verifier.Verify(t.Context(), token)
			if fault.CodeOf(err) != fault.Unauthenticated || p != (principal.Principal{}) {
				t.Errorf("got %v, %v", p, err)
			}
			if len(token) > 10 && err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), parts[1])) {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

// embedded is signed with a key that the token itself brings along.
func embedded(t *testing.T, s signer, claims map[string]any) string {
	t.Helper()
	maker, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: s.key}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(maker).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (b *bench) verify(t *testing.T, token string) error {
	t.Helper()
	_, err := b.verifier.Verify(t.Context(), token)
	return err
}

func TestKeysRotate(t *testing.T) {
	b := newBench(t)
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
	for deadline := time.Now().Add(10 * time.Second); b.verify(t, old) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a key that was withdrawn stays good")
		}
	}
}

// The first token is the reason for the first look, which must not delay the look for the next key.
func TestKeysRotateTwiceAtOnce(t *testing.T) {
	b := newBench(t)
	for _, id := range []string{"k1", "k2", "k3", "k3"} {
		next := newSigner(t, id)
		b.publish(next)
		if err := b.verify(t, sign(t, jose.RS256, next.key, id, b.claims(nil))); err != nil {
			t.Errorf("a token of the new key %s: %v", id, err)
		}
	}
}

// A look that failed delays the next by two seconds, so that callers do not wait for keys that can be had.
func TestKeysAreKnownSoonAfterAnOutage(t *testing.T) {
	var log bytes.Buffer
	b := newBench(t)
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

// The name of a published key is optional; the signature decides.
func TestAKeyWithoutAName(t *testing.T) {
	b := newBench(t)
	b.publish(signer{b.key, ""})
	for _, id := range []string{"", "k1"} {
		if err := b.verify(t, sign(t, jose.RS256, b.key, id, b.claims(nil))); err != nil {
			t.Errorf("a token that names the key %q: %v", id, err)
		}
	}
	if err := b.verify(t, sign(t, jose.RS256, newSigner(t, "k1").key, "k1", b.claims(nil))); fault.CodeOf(err) != fault.Unauthenticated {
		t.Errorf("a token of another key: %v", err)
	}
}

// A restored SSO may sign with another key by the name of the one before.
func TestANewKeyByAnOldName(t *testing.T) {
	b := newBench(t)
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
		t.Errorf("%d looks at the keys for one bad token", n)
	}
}

func TestUnknownKeysAreNotAskedForAllTheTime(t *testing.T) {
	b := newBench(t)
	stranger := sign(t, jose.RS256, newSigner(t, "x").key, "x", b.claims(nil))
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			for range 20 {
				if err := b.verify(t, stranger); fault.CodeOf(err) != fault.Unauthenticated {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wait.Wait()
	if n := b.fetches.Load(); n != 1 {
		t.Errorf("1000 strangers cost %d looks", n)
	}
	b.move(11 * time.Second)
	if _ = b.verify(t, stranger); b.fetches.Load() != 2 {
		t.Errorf("%d looks after a pause, want 2", b.fetches.Load())
	}
}

func TestTheSSOMayBeAway(t *testing.T) {
	b := newBench(t)
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
}

func TestACallerMayGiveUp(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Either the keys were faster or the caller is told; it must not be refused.
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
