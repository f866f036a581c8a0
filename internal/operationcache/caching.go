package operationcache

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"
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

// The keys of an operation's statistics, where gqlgen keeps data of extensions.
const (
	statsCacheRequest = "consoleql.cacheRequest" // of a query
	statsNoCache      = "consoleql.noCache"      // set for a mutation whose client accepts no cached answers
)

// CreateOperationContext creates an operation, and the cache request of a query.
func (e cachingExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	given, header := e.request(ctx)
	op, errs := e.GraphExecutor.CreateOperationContext(ctx, params)
	if len(errs) > 0 || given == nil {
		return op, errs
	}
	switch op.Operation.Operation {
	case ast.Query:
		op.Stats.SetExtension(statsCacheRequest, e.answers.cacheRequest(ctx, given, header, graphqlhttp.TypeJSON))
	case ast.Mutation:
		if noCache(withDirectives(given, header)) {
			op.Stats.SetExtension(statsNoCache, true)
		}
	case ast.Subscription: // its polls are shared
	}
	return op, errs
}

// DispatchOperation answers a query from the cache, or executes the operation.
func (e cachingExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	req, ok := op.Stats.GetExtension(statsCacheRequest).(*cacheRequest)
	switch {
	case ok:
	case op.Stats.GetExtension(statsNoCache) != nil:
		return e.answers.refresh(ctx, e.GraphExecutor, op)
	default:
		return e.GraphExecutor.DispatchOperation(ctx, op)
	}
	req.execute = func(ctx context.Context, w http.ResponseWriter) {
		w.Header().Set("Content-Type", req.media+graphqlhttp.InUTF8) // the type of answers to POST and GET
		responses, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
		graphqlhttp.WriteResponse(w, graphqlhttp.OrCancelled(responses(ctx)), e.answers.opts.Logger)
	}
	answered := false
	return func(ctx context.Context) *graphql.Response {
		if answered {
			return nil
		}
		answered = true
		req.ctx = ctx
		return e.answers.answer(req).response()
	}, ctx
}

// refresh executes an operation with one answer, whose client accepts no cached answers.
func (c *Cache) refresh(ctx context.Context, exec graphql.GraphExecutor, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	ctx, _, executed := c.begin(ctx, true)
	responses, ctx := exec.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		response := responses(ctx)
		if response != nil {
			executed(ctx)
		}
		return response
	}, ctx
}

// refreshing executes the operations of a transport whose answers are not cached. It obeys no-cache.
type refreshing struct {
	graphql.GraphExecutor
	answers *Cache
	header  http.Header // of the request
}

// DispatchOperation executes an operation, whose parameters are in ctx.
func (e refreshing) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	if p, ok := graphqlhttp.ParametersOf(ctx); ok && noCache(withDirectives(p, e.header)) {
		return e.answers.refresh(ctx, e.GraphExecutor, op)
	}
	return e.GraphExecutor.DispatchOperation(ctx, op)
}

// response returns the answer in gqlgen's form. Its data are a part of the body, and the responses of an answer share their
// errors and extensions.
func (a *answer) response() *graphql.Response {
	a.parsed.once.Do(func() { a.parsed.response = parse(a.body) })
	r := a.parsed.response
	return &r
}

// parse parses the body of an answer without a copy of its data.
func parse(body []byte) (r graphql.Response) {
	err := graphqlhttp.ReadMembers(body, []string{"errors", "data", "extensions"}, func(member string, value jsontext.Value) error {
		switch member {
		case "errors":
			return json.Unmarshal(value, &r.Errors)
		case "data":
			r.Data = slices.Clip([]byte(value))
			return nil
		default:
			var extensions map[string]json.RawMessage
			if err := json.Unmarshal(value, &extensions); err != nil {
				return err //nolint:wrapcheck // parse answers with an internal error
			}
			r.Extensions = make(map[string]any, len(extensions))
			for name, value := range extensions {
				r.Extensions[name] = value
			}
			return nil
		}
	})
	if err != nil {
		return graphql.Response{Errors: gqlerror.List{apierror.InternalError()}} // cached answers are valid JSON
	}
	return r
}

// Compress returns t with compressed answers. Its operations obey no-cache, and their parameters are in their contexts.
func (c *Cache) Compress(t graphql.Transport) graphql.Transport {
	return compressing{t, c}
}

// WriteBody writes a body that is not cached. A nil cache does not compress it.
func (c *Cache) WriteBody(w http.ResponseWriter, r *http.Request, header http.Header, body graphqlhttp.Encoded) {
	maps.Copy(w.Header(), header)
	w.Header().Set("Cache-Control", "no-store")
	if c != nil {
		if e := encodingFor(r.Header.Values("Accept-Encoding"), body.Len()); e != identity {
			if coded := c.encoder.encode(r.Context(), e, body, 0); coded != nil { // its data may be a cached answer's
				w.Header().Set("Content-Encoding", e.name())
				body = graphqlhttp.Encoded{coded}
			}
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = body.WriteTo(w) // the client may have left
}

// compressing is a transport that compresses its answers, and does not cache them.
type compressing struct {
	graphql.Transport
	answers *Cache
}

// Do answers the request.
func (c compressing) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	made := c.answer(r, exec)
	made.write(w, r, c.answers.encoder)
}

// answer executes the request. Its memory counts until the answer is compressed.
func (c compressing) answer(r *http.Request, exec graphql.GraphExecutor) *answer {
	ctx, _, release := c.answers.opts.Memory.Begin(r.Context())
	defer release()
	rec := graphqlhttp.NewRecorder()
	c.Transport.Do(rec, r.WithContext(ctx), refreshing{exec, c.answers, r.Header})
	made := recorded(rec)
	made.compress(ctx, r.Header, c.answers.encoder)
	return made
}
