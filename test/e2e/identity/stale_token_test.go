package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSignInWithStaleToken verifies that signIn works with every kind of rejected token,
// over POST and WebSocket, with and without verification. Other operations are refused.
func TestSignInWithStaleToken(t *testing.T) {
	t.Parallel()
	for mode, adjust := range map[string]func(*gateway.Settings, *consolesim.Server){
		"verified": e2e.VerifyTokens, "verified, default account": func(s *gateway.Settings, sim *consolesim.Server) { e2e.VerifyTokens(s, sim); s.Anonymous = true },
		"not verified": func(*gateway.Settings, *consolesim.Server) {},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, adjust)
			u := w.Sim.Data().SoloUser()
			session := w.SignIn(u)
			if a := w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
			for name, header := range map[string]map[string]string{
				"no JWT": e2e.Bearer("abcdef"), "a session that has ended": session, "a signature that does not fit": e2e.Bearer(w.Sim.Token("demo") + "x"),
			} {
				header = e2e.MergeHeaders(header, e2e.ScopeHeader(u.CompanyIDs[0], ""))
				for form, query := range map[string]string{
					"plain": e2e.SignInMutation,
					"in fragments": `mutation($u: String!, $p: String!) { ...A ...A } fragment A on Mutation { ... on Mutation { ...B } __typename }
						fragment B on Mutation { signIn(input: {username: $u, password: $p}) { sessionToken viewer { userName } } }`,
				} {
					a := w.Ask(query, e2e.Request{Header: header, Variables: e2e.SignInVariables(u)})
					if len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"userName":"`+u.Username) {
						t.Errorf("%s, %s: %s", name, form, a.Body)
					}
				}
				for way, s := range map[string]*e2e.Socket{"payload": w.Socket(header), "header": upgradedWith(w, header)} {
					s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]any{"query": e2e.SignInMutation, "variables": e2e.SignInVariables(u)})})
					if a := s.Next("1"); len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"userName":"`+u.Username) {
						t.Errorf("%s, WebSocket, %s: %s", name, way, a.Body)
					}
				}
			}
			for name, header := range map[string]map[string]string{
				"an API key": {"X-Api-Key": "abcdef"}, "another scheme": {"Authorization": "Basic abcdef"},
			} {
				if a := w.Ask(e2e.SignInMutation, e2e.Request{Header: header, Variables: e2e.SignInVariables(u)}); a.Status != http.StatusUnauthorized {
					t.Errorf("%s: %s", name, a.Body)
				}
			}
		})
	}
}

// upgradedWith opens a WebSocket whose request has the headers, and whose payload is empty.
func upgradedWith(w *e2e.World, header map[string]string) *e2e.Socket {
	w.T.Helper()
	s := w.Connect(header)
	s.Send(e2e.Message{Type: "connection_init"})
	if m := s.Receive(); m.Type != "connection_ack" {
		w.T.Fatalf("answered %+v", m)
	}
	return s
}

// TestStaleTokenOnlySignsIn verifies that operations beside signIn are refused without
// console calls. This also holds if anonymous callers act as the default account.
func TestStaleTokenOnlySignsIn(t *testing.T) {
	t.Parallel()
	late := time.Duration(0)
	w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: time.Minute, Now: func() time.Time { return time.Now().Add(late) }}, e2e.VerifyTokens)
	u, id := w.Sim.Data().SoloUser(), w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	late = -time.Hour
	stale := w.TokenHeader(u.Username)
	late = 0
	const signIn = `signIn(input: {username: "u", password: "p"}) { sessionToken }`
	w.Sim.ResetCounts()
	s := w.Socket(stale)
	for name, query := range map[string]string{
		"a query":                   `{ viewer { userName } }`,
		"a query of no console":     `{ __typename }`,
		"introspection":             `{ __schema { queryType { name } } }`,
		"another mutation":          `mutation { signOut { ok } }`,
		"signIn and another":        `mutation { ` + signIn + ` signOut { ok } }`,
		"another and signIn":        `mutation { deleteQueue(input: {id: "` + id + `"}) { deletedId } ` + signIn + ` }`,
		"another by the name":       `mutation { signIn: deleteQueue(input: {id: "` + id + `"}) { deletedId } }`,
		"another in a fragment":     `mutation { ` + signIn + ` ...A } fragment A on Mutation { ... { signOut { ok } } }`,
		"another that is left out":  `mutation { ` + signIn + ` signOut @skip(if: true) { ok } }`,
		"a fragment in itself":      `mutation { ...A } fragment A on Mutation { ...A signOut { ok } }`,
		"a fragment that is absent": `mutation { ` + signIn + ` ...A }`,
		"a query by the name":       `{ signIn: viewer { userName } }`,
		"a subscription":            `subscription { robotChanged { id } }`,
		"two operations, no name":   `mutation A { ` + signIn + ` } mutation B { signOut { ok } }`,
		"not GraphQL":               `mutation { signIn(`,
		"nothing":                   ``,
	} {
		t.Run(name, func(t *testing.T) {
			a := w.Ask(query, e2e.Request{Header: stale})
			if a.Status != http.StatusUnauthorized || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED" || len(a.Data) > 0 {
				t.Errorf("answered %d %s", a.Status, a.Body)
			}
			s.Subscribe(name, query)
			got := s.Next(name)
			s.Completed(name)
			if len(got.Errors) != 1 || got.Errors[0].Message != a.Errors[0].Message || got.Errors[0].Extensions.Code != "UNAUTHENTICATED" || len(got.Data) > 0 && string(got.Data) != "null" {
				t.Errorf("WebSocket: %s", got.Body)
			}
		})
	}
	both := `{"query":"mutation A { ` + strings.ReplaceAll(signIn, `"`, `\"`) + ` } mutation B { signOut { ok } }","operationName":"B"}`
	hash := sha256.Sum256([]byte(`{ viewer { userName } }`))
	persisted := fmt.Sprintf(`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":%q}}}`, hex.EncodeToString(hash[:]))
	if resp, body := w.Send(http.MethodPost, "/graphql", persisted[:len(persisted)-1]+`,"query":"{ viewer { userName } }"}`, map[string]string{"Content-Type": "application/json"}); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s", body)
	}
	w.Sim.ResetCounts()
	for name, tt := range map[string]struct{ method, path, contentType, body string }{
		"the other of two operations": {http.MethodPost, "/graphql", "application/json", both},
		"a hash":                      {http.MethodPost, "/graphql", "application/json", persisted},
		"a long body":                 {http.MethodPost, "/graphql", "application/json", `{"query":"{ viewer { userName } }` + strings.Repeat(" ", 40<<10) + `"}`},
		"not JSON":                    {http.MethodPost, "/graphql", "application/json", `{"query":`},
		"another type":                {http.MethodPost, "/graphql", "text/plain", `x`},
		"a form":                      {http.MethodPost, "/graphql", "multipart/form-data; boundary=B", "--B--"},
		"a GET":                       {http.MethodGet, "/graphql?query=%7B__typename%7D", "", ""},
		"a GET of signIn":             {http.MethodGet, "/graphql?query=mutation%7BsignIn(input:%7Busername:%22u%22,password:%22p%22%7D)%7BsessionToken%7D%7D", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.Send(tt.method, tt.path, tt.body, e2e.MergeHeaders(stale, map[string]string{"Content-Type": tt.contentType}))
			if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(string(body), "UNAUTHENTICATED") {
				t.Errorf("answered %d %s", resp.StatusCode, body)
			}
		})
	}
	w.CheckNoCalls()
}
