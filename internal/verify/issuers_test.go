package verify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/verify"
)

// TestInternalSSOAddress: behind an inner address, the SSO's tokens and discovery document name outer addresses.
// Its keys have unusual certificate forms. Settings override issuers and addresses.
func TestInternalSSOAddress(t *testing.T) {
	s := newSigner(t, "k")
	raw, err := json.Marshal(s.public())
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSuffix(string(raw), "}") + `,"x5t":"not base64 !","x5t#S256":7,"x5c":["PEM"],"x5u":null,"key_ops":"verify"}`
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/keys":
			_, _ = w.Write([]byte(`{"keys":[` + key + `]}`))
		case "/.well-known/openid-configuration":
			_, _ = w.Write([]byte(`{"issuer":"https://outer.example","jwks_uri":"http://127.0.0.1:1/keys"}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(inner.Close)
	for name, tt := range map[string]struct {
		issuers []string
		keysURL string
		issuer  string // of the token
		good    bool
	}{
		"keys by discovery":        {nil, "", "https://outer.example", false}, // nobody listens there
		"keys by setting":          {nil, inner.URL + "/keys", "https://outer.example", true},
		"one issuer":               {[]string{"https://outer.example"}, inner.URL + "/keys", "https://outer.example", true},
		"the second of two":        {[]string{"https://a.example", "https://b.example"}, inner.URL + "/keys", "https://b.example", true},
		"none of two":              {[]string{"https://a.example", "https://b.example"}, inner.URL + "/keys", "https://outer.example", false},
		"an issuer that begins so": {[]string{"https://a.example"}, inner.URL + "/keys", "https://a.example.evil", false},
		"no issuer":                {[]string{"https://a.example"}, inner.URL + "/keys", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := verify.New(verify.Options{SSOURL: inner.URL, Issuers: tt.issuers, KeysURL: tt.keysURL})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(v.Close)
			claims := map[string]any{"aud": "apigateway", "userid": "u", "exp": time.Now().Add(time.Hour).Unix()}
			if tt.issuer != "" {
				claims["iss"] = tt.issuer
			}
			if _, err := v.Verify(t.Context(), sign(t, "RS256", s.key, "k", claims)); (err == nil) != tt.good {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := verify.New(verify.Options{SSOURL: inner.URL, KeysURL: "ftp://keys"}); err == nil {
		t.Error("an address of keys that is none is accepted")
	}
}
