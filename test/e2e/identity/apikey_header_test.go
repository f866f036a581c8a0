package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestAPIKeyAsBearerToken verifies that the console never gets an API key that a client sends as a bearer token. The
// keys are those of the gateway's form, known or not, and configured ones of another form.
func TestAPIKeyAsBearerToken(t *testing.T) {
	t.Parallel()
	const own = "a-key-of-the-operators-own-making.0123456789"
	unknown, _ := apikey.New()
	for mode, verify := range map[string]string{"not verified": "off", "verified": "on"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var known map[string]string
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, func(s *gateway.Settings, _ *consolesim.Server) {
				k := &e2e.Keyring{T: t}
				known = k.Key("known", "default", "")
				sum := sha256.Sum256([]byte(own))
				k.Keys += fmt.Sprintf("  - {name: own, account: default, hash: %s}\n", hex.EncodeToString(sum[:]))
				s.APIKeysFile, s.VerifyTokens = k.Write(), verify
			})
			for name, key := range map[string]string{"known": known["X-Api-Key"], "unknown": unknown, "own": own} {
				if name == "own" && verify == "on" {
					continue // it is a token without a valid signature
				}
				refuse := func(way string, status int, body string) {
					t.Helper()
					if status != http.StatusUnauthorized || !strings.Contains(body, "UNAUTHENTICATED") || !strings.Contains(body, "send it as X-Api-Key") || strings.Contains(body, key) {
						t.Errorf("%s, %s: answered %d %s", name, way, status, body)
					}
				}
				const query = `{ queues { totalCount } }`
				a := w.Ask(query, e2e.Request{Header: e2e.Bearer(key)})
				refuse("POST", a.Status, string(a.Body))
				resp, body := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", e2e.Bearer(key))
				refuse("GET", resp.StatusCode, string(body))
				resp, body = w.Send(http.MethodPost, "/graphql", `{"query":"subscription { robotChanged { id } }"}`,
					e2e.MergeHeaders(e2e.JSONBody, e2e.Bearer(key), map[string]string{"Accept": "text/event-stream"}))
				refuse("SSE", resp.StatusCode, string(body))
				s := w.Connect(nil)
				s.Send(e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, e2e.Bearer(key))})
				if code, reason := s.ClosedWith(); code != 4401 || !strings.HasSuffix(reason, "send it as X-Api-Key") {
					t.Errorf("%s, WebSocket: closed with %d %q", name, code, reason)
				}
			}
			for path := range w.Calls() {
				if strings.Contains(path, "/openapi/") {
					t.Errorf("the console was called: %s", path)
				}
			}
		})
	}
}
