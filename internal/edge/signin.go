package edge

import (
	"context"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// admitSignIn refuses callers whose token is refused, unless they only sign in. A WebSocket decides
// for each of its operations.
func (s *server) admitSignIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := refusalOf(r.Context())
		if refused == nil || isWebSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		if p, ok := parametersOf(r.Context()); !ok || r.Method != http.MethodPost || !s.onlySignsIn(r.Context(), p) {
			refuseCredentials(w, r, refused)
			return
		}
		next.ServeHTTP(w, r.WithContext(withRefusal(r.Context(), nil)))
	})
}

// signInExecutor refuses the operations of a WebSocket whose token is refused, unless they only sign in.
type signInExecutor struct {
	graphql.GraphExecutor
	s          *server
	parameters func() *parameters
}

// CreateOperationContext makes an operation, if the caller may have it.
func (e signInExecutor) CreateOperationContext(ctx context.Context, given *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	if refused := refusalOf(ctx); refused != nil && !e.s.onlySignsIn(ctx, e.parameters()) {
		return &graphql.OperationContext{}, gqlerror.List{requestError(refused.error)}
	}
	return e.GraphExecutor.CreateOperationContext(ctx, given)
}

// onlySignsIn says whether the operation that p selects has no other root field than signIn, __typename excepted. A hash
// whose text is not known is let through: it is answered by asking for the text, and whatever it were, nobody would ask.
func (s *server) onlySignsIn(ctx context.Context, p *parameters) bool {
	query := p.Query
	if query == "" {
		raw, err := p.raw()
		if err != nil {
			return false
		}
		persisted, _ := raw.Extensions["persistedQuery"].(map[string]any)
		hash, _ := persisted["sha256Hash"].(string)
		if hash == "" {
			return false
		}
		var known bool
		if query, known = s.persisted.Get(ctx, hash); !known {
			return true
		}
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, s.opts.Limits.Tokens)
	if err != nil {
		return false
	}
	op := document.Operations.ForName(p.OperationName)
	return op != nil && op.Operation == ast.Mutation && onlySignIn(document, op.SelectionSet, make(map[string]bool))
}

// onlySignIn says whether a selection has no other field than signIn and __typename. seen are the fragments that it has
// been found of. Whether there is one at all is the validator's matter.
func onlySignIn(document *ast.QueryDocument, set ast.SelectionSet, seen map[string]bool) bool {
	for _, selection := range set {
		var below ast.SelectionSet
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Name != "signIn" && selection.Name != "__typename" {
				return false
			}
		case *ast.InlineFragment:
			below = selection.SelectionSet
		case *ast.FragmentSpread:
			fragment := document.Fragments.ForName(selection.Name)
			if fragment == nil {
				return false
			}
			if !seen[selection.Name] {
				seen[selection.Name] = true
				below = fragment.SelectionSet
			}
		}
		if !onlySignIn(document, below, seen) {
			return false
		}
	}
	return true
}
