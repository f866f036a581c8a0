package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestSignInBesideAStaleToken works whatever is wrong with the token, over POST and over WebSockets, with and without
// verification. Nothing else is done beside a token that is refused.
func TestSignInBesideAStaleToken(t *testing.T) {
	for mode, adjust := range map[string]func(*settings, *consolesim.Server){
		"verified": verifying, "verified, default account": func(s *settings, sim *consolesim.Server) { verifying(s, sim); s.Anonymous = true },
		"not verified": func(*settings, *consolesim.Server) {},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, consolesim.Options{}, strict, adjust)
			u := w.sim.Data().SoloUser()
			session := w.signIn(u)
			if a := w.ask(`mutation { signOut { ok } }`, request{header: session}); len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
			for name, header := range map[string]map[string]string{
				"no JWT": bearer("abcdef"), "a session that has ended": session, "a signature that does not fit": bearer(w.sim.Token("demo") + "x"),
			} {
				header = with(header, in(u.CompanyIDs[0], ""))
				for form, query := range map[string]string{
					"plain": signInMutation,
					"in fragments": `mutation($u: String!, $p: String!) { ...A ...A } fragment A on Mutation { ... on Mutation { ...B } __typename }
						fragment B on Mutation { signIn(input: {username: $u, password: $p}) { sessionToken viewer { userName } } }`,
				} {
					a := w.ask(query, request{header: header, variables: login(u)})
					if len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"userName":"`+u.Username) {
						t.Errorf("%s, %s: %s", name, form, a.Body)
					}
				}
				for way, s := range map[string]*socket{"payload": w.socket(header), "header": upgradedWith(w, header)} {
					s.send(message{ID: "1", Type: "subscribe", Payload: encode(t, map[string]any{"query": signInMutation, "variables": login(u)})})
					if a := s.next("1"); len(a.Errors) > 0 || !strings.Contains(string(a.Data), `"userName":"`+u.Username) {
						t.Errorf("%s, WebSocket, %s: %s", name, way, a.Body)
					}
				}
			}
			for name, header := range map[string]map[string]string{
				"an API key": {"X-Api-Key": "abcdef"}, "another scheme": {"Authorization": "Basic abcdef"},
			} {
				if a := w.ask(signInMutation, request{header: header, variables: login(u)}); a.Status != http.StatusUnauthorized {
					t.Errorf("%s: %s", name, a.Body)
				}
			}
		})
	}
}

// upgradedWith is a WebSocket whose request has the headers, and whose payload is empty.
func upgradedWith(w *world, header map[string]string) *socket {
	w.t.Helper()
	s := w.connect(header)
	s.send(message{Type: "connection_init"})
	if m := s.receive(); m.Type != "connection_ack" {
		w.t.Fatalf("answered %+v", m)
	}
	return s
}

// TestNothingElseBesideAStaleToken: what is not signIn alone is refused as the token is, and asks the console for nothing,
// also where callers without credentials act as the default account.
func TestNothingElseBesideAStaleToken(t *testing.T) {
	late := time.Duration(0)
	w := newWorld(t, consolesim.Options{TokenLifetime: time.Minute, Now: func() time.Time { return time.Now().Add(late) }}, verifying)
	u, id := w.sim.Data().SoloUser(), w.sim.Data().QueueIDs(w.sim.Data().MainDepartmentID())[0]
	late = -time.Hour
	stale := w.as(u.Username)
	late = 0
	const signIn = `signIn(input: {username: "u", password: "p"}) { sessionToken }`
	w.sim.ResetCounts()
	s := w.socket(stale)
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
			a := w.ask(query, request{header: stale})
			if a.Status != http.StatusUnauthorized || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED" || len(a.Data) > 0 {
				t.Errorf("answered %d %s", a.Status, a.Body)
			}
			s.subscribe(name, query)
			told := s.next(name)
			s.completed(name)
			if len(told.Errors) != 1 || told.Errors[0].Message != a.Errors[0].Message || told.Errors[0].Extensions.Code != "UNAUTHENTICATED" || len(told.Data) > 0 && string(told.Data) != "null" {
				t.Errorf("WebSocket: %s", told.Body)
			}
		})
	}
	both := `{"query":"mutation A { ` + strings.ReplaceAll(signIn, `"`, `\"`) + ` } mutation B { signOut { ok } }","operationName":"B"}`
	hash := sha256.Sum256([]byte(`{ viewer { userName } }`))
	persisted := fmt.Sprintf(`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":%q}}}`, hex.EncodeToString(hash[:]))
	if resp, body := w.send(http.MethodPost, "/graphql", persisted[:len(persisted)-1]+`,"query":"{ viewer { userName } }"}`, map[string]string{"Content-Type": "application/json"}); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s", body)
	}
	w.sim.ResetCounts()
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
			resp, body := w.send(tt.method, tt.path, tt.body, with(stale, map[string]string{"Content-Type": tt.contentType}))
			if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(string(body), "UNAUTHENTICATED") {
				t.Errorf("answered %d %s", resp.StatusCode, body)
			}
		})
	}
	w.noCalls()
}
