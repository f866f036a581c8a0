package operationcache

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// cachingExecutor answers queries from the operation cache for Server-Sent Events and
// WebSockets, whose answers are no HTTP responses. It shares answers with POST and GET.
type cachingExecutor struct {
	graphql.GraphExecutor
	answers *Cache
	// request returns the parameters and the header of the operation in ctx.
	request func(ctx context.Context) (*graphqlhttp.Parameters, http.Header)
}

// Executor returns exec with the operation cache in front. request returns the parameters and
// the header of the operation in ctx.
func (c *Cache) Executor(exec graphql.GraphExecutor, request func(ctx context.Context) (*graphqlhttp.Parameters, http.Header)) graphql.GraphExecutor {
	return cachingExecutor{exec, c, request}
}

// statsCacheRequest is the key of the cache request in an operation's statistics, where gqlgen
// keeps data of extensions.
const statsCacheRequest = "consoleql.cacheRequest"

// CreateOperationContext creates an operation, and the cache request of a query.
func (e cachingExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	given, header := e.request(ctx)
	op, errs := e.GraphExecutor.CreateOperationContext(ctx, params)
	if len(errs) == 0 && given != nil && op.Operation.Operation == ast.Query {
		op.Stats.SetExtension(statsCacheRequest, e.answers.cacheRequest(ctx, given, header, graphqlhttp.TypeJSON))
	}
	return op, errs
}

// DispatchOperation answers a query from the cache, or executes the operation.
func (e cachingExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	asked, ok := op.Stats.GetExtension(statsCacheRequest).(*cacheRequest)
	if !ok {
		return e.GraphExecutor.DispatchOperation(ctx, op)
	}
	asked.execute = func(ctx context.Context, w http.ResponseWriter) {
		w.Header().Set("Content-Type", asked.media+graphqlhttp.InUTF8) // the type of answers to POST and GET
		responses, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
		graphqlhttp.WriteResponse(w, graphqlhttp.OrCancelled(responses(ctx)), e.answers.opts.Logger)
	}
	answered := false
	return func(ctx context.Context) *graphql.Response {
		if answered {
			return nil
		}
		answered = true
		asked.ctx = ctx
		return e.answers.answer(asked).response()
	}, ctx
}

// response returns the answer in gqlgen's form.
func (a *answer) response() *graphql.Response {
	var parts struct {
		Errors     gqlerror.List              `json:"errors"`
		Data       json.RawMessage            `json:"data"`
		Extensions map[string]json.RawMessage `json:"extensions"`
	}
	if err := json.Unmarshal(a.body, &parts); err != nil {
		return &graphql.Response{Errors: gqlerror.List{apierror.InternalError()}} // cached answers are valid JSON
	}
	r := &graphql.Response{Errors: parts.Errors, Data: parts.Data}
	if len(parts.Extensions) > 0 {
		r.Extensions = make(map[string]any, len(parts.Extensions))
		for name, value := range parts.Extensions {
			r.Extensions[name] = value
		}
	}
	return r
}

// Compress returns t with compressed answers.
func (c *Cache) Compress(t graphql.Transport) graphql.Transport {
	return compressing{t, c.encoder}
}

// WriteBody writes a body that is not cached. A nil cache does not compress it.
func (c *Cache) WriteBody(w http.ResponseWriter, r *http.Request, header http.Header, body []byte) {
	var by *encoder
	if c != nil {
		by = c.encoder
	}
	(&answer{status: http.StatusOK, header: header, body: body}).write(w, r, by)
}

// compressing is a transport that compresses its answers.
type compressing struct {
	graphql.Transport
	encoder *encoder
}

// Do answers the request.
func (c compressing) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	rec := &responseRecorder{header: make(http.Header)}
	c.Transport.Do(rec, r, exec)
	rec.answer().write(w, r, c.encoder)
}
