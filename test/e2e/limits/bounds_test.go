package limits

import (
	"fmt"
	"strings"
	"testing"

	whole "github.com/99designs/gqlgen/graphql/introspection"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestExpensiveDocuments verifies that expensive documents are refused before their validation.
func TestExpensiveDocuments(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	var fields, named strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&fields, "zz%d ", i)
		fmt.Fprintf(&named, "query q%d{...f}", i)
	}
	for name, query := range map[string]string{
		"the same field":         "{" + strings.Repeat(" __typename", 14_000) + "}",
		"operations with errors": strings.Repeat("{...f}", 300) + "fragment f on Query{" + fields.String() + "}",
		"operations without":     named.String() + "fragment f on Query{" + strings.Repeat("__typename ", 500) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			here := *w
			here.T = t
			here.CheckRefusedByAllTransports(query, "QUERY_TOO_COMPLEX")
		})
	}
}

// TestErrorsOfDocumentsAreBounded verifies the bound of a document's errors.
func TestErrorsOfDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, tt := range map[string]struct {
		n            int
		field, first string
		last         string
	}{
		"fields":  {1500, "zz%d ", "GRAPHQL_VALIDATION_FAILED", "1400 more errors are not listed"},
		"numbers": {300, "a%d: queues(first: 99999999999) { totalCount } ", "BAD_USER_INPUT", "200 more errors are not listed"},
	} {
		var fields strings.Builder
		for i := range tt.n {
			fmt.Fprintf(&fields, tt.field, i)
		}
		for transport, errors := range w.RefusalsByTransport("{" + fields.String() + "}") {
			if len(errors) != 101 || errors[0].Extensions.Code != tt.first {
				t.Errorf("%s, %s: %d errors", name, transport, len(errors))
				continue
			}
			if last := errors[100]; last.Message != tt.last || last.Extensions.Code != "GRAPHQL_VALIDATION_FAILED" {
				t.Errorf("%s, %s: the last error is %+v", name, transport, last)
			}
		}
	}
}

// TestConnectionOperations verifies that a connection with a thousand operations gets an
// error for the next one, and stays open.
func TestConnectionOperations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	s := w.Socket(nil)
	const most = 1000
	for i := range most + 1 {
		s.Subscribe(fmt.Sprint(i), `subscription { robotChanged { id } }`)
	}
	m := s.Receive()
	if errors := e2e.Decode[[]e2e.GraphError](t, m.Payload); m.Type != "error" || m.ID != fmt.Sprint(most) || len(errors) != 1 || errors[0].Extensions.Code != "RATE_LIMITED" {
		t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
	}
	s.Send(e2e.Message{ID: "0", Type: "complete"})
	e2e.Await(t, "an operation after one has ended", func() bool {
		s.Subscribe("again", `{ __typename }`)
		if m := s.Receive(); m.ID != "again" || m.Type == "error" {
			return false
		}
		s.Completed("again")
		return true
	})
}

// TestOneSignInPerOperation verifies that a request can check only one password.
func TestOneSignInPerOperation(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, query := range map[string]string{
		"aliases":       `mutation { a: $1 b: $2 }`,
		"an inline":     `mutation { a: $1 ... on Mutation { b: $2 } }`,
		"a fragment":    `mutation { a: $1 ...F } fragment F on Mutation { b: $2 }`,
		"beside others": `mutation { a: $1 signOut { ok } ... { ...F } } fragment F on Mutation { ... { signIn: $2 } }`,
	} {
		t.Run(name, func(t *testing.T) {
			here := *w
			here.T = t
			here.CheckRefusedByAllTransports(strings.NewReplacer(
				"$1", `signIn(input: {username: "u", password: "1"}) { sessionToken }`,
				"$2", `signIn(input: {username: "v", password: "2"}) { sessionToken }`,
			).Replace(query), "BAD_USER_INPUT")
		})
	}
	t.Run("one in two parts", func(t *testing.T) {
		u := w.Sim.Data().SoloUser()
		a := w.Ask(`mutation($u: String!, $p: String!) { ...F ...G }
			fragment F on Mutation { signIn(input: {username: $u, password: $p}) { sessionToken } }
			fragment G on Mutation { signIn(input: {username: $u, password: $p}) { expiresAt } }`, e2e.Request{Variables: e2e.SignInVariables(u)})
		if len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
}

// TestIntrospectionIsBounded verifies that queries of tools are answered, and repetitions of
// the schema refused.
func TestIntrospectionIsBounded(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	nested := strings.Repeat("ofType { kind name ", 9) + strings.Repeat("}", 9)
	tool := strings.Replace(whole.NewQuery(whole.QueryOptions{OneOf: true}), "fragment TypeRef on __Type {", "fragment TypeRef on __Type { ...Nested", 1)
	for name, query := range map[string]string{
		"all of it":         whole.Query,
		"a chain of nine":   tool + " fragment Nested on __Type { " + nested + " }",
		"what is supported": `{ __type(name: "__Type") { fields { name } } input: __type(name: "__InputValue") { fields { name } } __schema { types { name specifiedByURL isOneOf inputFields(includeDeprecated: true) { name isDeprecated } } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			here := *w
			here.T = t
			here.Query(query, nil)
		})
	}
	// A low bound is exceeded sooner.
	bounded := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.MaxAnswerValues = 20_000 })
	const every = " fragment F on __Type { name description fields { name description args { name description type { name kind ofType { name kind } } } type { name } } }"
	for name, tt := range map[string]struct{ query, code string }{
		"all of it, often":       {"{ " + aliased(100, 3, "__schema { types { ...F } }") + " }" + every, "QUERY_TOO_COMPLEX"},
		"a type, often":          {"{ " + aliased(100, 3, `__type(name: "Query") { ...F }`) + " }" + every, "QUERY_TOO_COMPLEX"},
		"types, often":           {"{ __schema { " + aliased(200, 3, "types { ...F }") + " } }" + every, "QUERY_TOO_COMPLEX"},
		"fields, often":          {"{ __schema { types { " + aliased(400, 3, "fields { name description type { name } }") + " } } }", "QUERY_TOO_COMPLEX"},
		"names, often":           {"{ __schema { types { " + aliased(2000, 4, "name") + " } } }", "QUERY_TOO_COMPLEX"},
		"descriptions, often":    {"{ __schema { types { fields { " + aliased(490, 3, "description") + " } } } }", "QUERY_TOO_COMPLEX"},
		"types of types":         {"{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", "GRAPHQL_VALIDATION_FAILED"},
		"types of types, spread": {"{ __schema { types { ...A } } } fragment A on __Type { fields { type { ...B } } } fragment B on __Type { fields { type { fields { name } } } }", "GRAPHQL_VALIDATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			a := bounded.Ask(tt.query, e2e.Request{})
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != tt.code {
				t.Errorf("%d errors: %.500s", len(a.Errors), a.Body)
			}
		})
	}
	bounded.CheckRefusedByAllTransports("{ "+aliased(11, 3, "__schema { types { ...F } }")+" }"+every, "QUERY_TOO_COMPLEX")
}
