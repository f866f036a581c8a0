package edge

import (
	"context"
	"net/http"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
)

// viaMCP marks the request for the audit log.
func viaMCP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accesslog.FromContext(r.Context()).SetTransport("mcp")
		next.ServeHTTP(w, r)
	})
}

// admitAgent refuses callers who have neither an API key nor a session.
func (s *server) admitAgent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.opts.MCP.Admit(r.Context()); err != nil {
			s.refuseCredentials(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// agents returns the handler of the endpoint /mcp, whose tools run through the handler of /graphql.
func (s *server) agents(graphql http.Handler) http.Handler {
	return s.opts.MCP.Handler(toolRunner{s, graphql})
}

// toolRunner implements mcp.Runner.
type toolRunner struct {
	*server
	handler http.Handler // of /graphql
}

// Execute executes an operation by a request of /graphql, which the middlewares have admitted.
func (t toolRunner) Execute(ctx context.Context, p *graphqlhttp.Parameters) []byte {
	t.opts.Documents.Resolve(p)
	r, err := http.NewRequestWithContext(graphqlhttp.WithParameters(ctx, p), http.MethodPost, "/graphql", http.NoBody)
	if err != nil { // method and path are constant
		return nil
	}
	r.Header.Set("Content-Type", graphqlhttp.TypeJSON)
	r.Header.Set("Accept", graphqlhttp.TypeJSON)
	answered := graphqlhttp.NewRecorder()
	t.handler.ServeHTTP(answered, r)
	return answered.Body.Bytes()
}

// Refused records a refused call in the access log, and one of a mutation in the audit log.
func (t toolRunner) Refused(ctx context.Context, s operation.Summary, field string, code fault.Code) {
	e := accesslog.FromContext(ctx)
	if s.Type != "" {
		e.Executed(&s)
	}
	e.Refused(string(code))
	if s.Type == string(ast.Mutation) {
		t.opts.Audit.RefusedOperation(ctx, field, s, code)
	}
}
