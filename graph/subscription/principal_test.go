package subscription

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestPrincipalsShareNoPoll verifies that principals with the same target have separate polls,
// each with its own token. Subscriptions of one principal share a poll.
func TestPrincipalsShareNoPoll(t *testing.T) {
	nobody := struct{ loader.Console }{} // gets no call: the scopes are complete
	engine, err := loader.New(nobody, nil, loader.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &console{}
	c.set("1", "a")
	withService(t, c, Options{}, func(t *testing.T, w *Service) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sc := scope.Scope{CompanyID: "c", DepartmentID: "d"}
		for _, caller := range []principal.Principal{alice, bob, alice} {
			ctx := graphql.WithOperationContext(ctx, &graphql.OperationContext{})
			ctx = principal.NewContext(graphql.WithFieldContext(ctx, &graphql.FieldContext{}), caller)
			l := engine.Loaders(ctx, sc)
			_, err := w.Robots(loader.NewContext(ctx, l), nil, nil)
			l.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := w.Polls(); n != 2 {
			t.Errorf("%d polls, want 2", n)
		}
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		tokens := make(map[string]int)
		for _, a := range c.requests {
			tokens[a.token]++
			if a.scope != sc {
				t.Errorf("polled in %+v", a.scope)
			}
		}
		if diff := cmp.Diff(map[string]int{"alice": 1, "bob": 1}, tokens); diff != "" {
			t.Errorf("polled as, - want + got:\n%s", diff)
		}
	})
}
