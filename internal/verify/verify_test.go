package verify_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
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

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sso publishes keys, counts the requests, and can be unavailable.
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
			// Unsupported keys must do no harm.
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

// signer signs tokens like the SSO.
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

// clock is a clock under the test's control.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }

type fixture struct {
	*sso
	*clock
	signer
	verifier *verify.Verifier
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	b := &fixture{sso: newSSO(t), clock: &clock{}, signer: newSigner(t, "k1")}
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

// claims returns valid claims with changes; a nil value removes a claim.
func (f *fixture) claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": f.issuer, "aud": "apigateway", "userid": "u-1", "sub": "u-1",
		"nbf": f.now().Unix(), "iat": f.now().Unix(), "exp": f.now().Add(time.Hour).Unix(),
	}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func (f *fixture) token(t *testing.T, changes map[string]any) string {
	t.Helper()
	return sign(t, jose.RS256, f.key, f.id, f.claims(changes))
}

func TestGoodTokens(t *testing.T) {
	b := newFixture(t)
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
			if p.Credential() != principal.PassThrough || p.Name() != "user:u-1" || p.Token() != token {
				t.Errorf("got %v, %s", p, p.Credential())
			}
			if at, ok := p.Expires(); !ok || at.Before(b.now()) || at.After(b.now().Add(time.Hour+time.Minute)) {
				t.Errorf("expires at %v, %v", at, ok)
			}
		})
	}
}

func TestBadTokens(t *testing.T) {
	b := newFixture(t)
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

// embedded is signed with a key inside the token itself.
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

func (f *fixture) verify(t *testing.T, token string) error {
	t.Helper()
	_, err := f.verifier.Verify(t.Context(), token)
	return err
}
