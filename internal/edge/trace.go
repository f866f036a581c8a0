package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// TracePolicy decides which callers may request a trace.
type TracePolicy string

// The policies of the setting CONSOLEQL_TRACE. The zero policy is TraceOn.
const (
	TraceOn     TracePolicy = "on"      // every caller
	TraceAPIKey TracePolicy = "api-key" // callers with an API key
	TraceOff    TracePolicy = "off"     // no caller
)

// Explainer explains operations.
type Explainer interface {
	// Kinds returns the kinds of console answers that a root field may read.
	Kinds(op *graphql.OperationContext, field graphql.CollectedField) []string
	// Plan estimates the console calls of the operation, without making any. An error concerns
	// the operation's arguments.
	Plan(ctx context.Context, op *graphql.OperationContext) (explain.Plan, error)
}

// admitTrace reads the trace header, and refuses the request if the caller may not use it.
func (s *server) admitTrace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode, err := s.TraceMode(r)
		switch {
		case err != nil && fault.CodeOf(err) == fault.Forbidden:
			graphqlhttp.WriteError(w, r, http.StatusForbidden, err)
		case err != nil:
			graphqlhttp.WriteError(w, r, http.StatusBadRequest, err)
		case mode == operation.Untraced:
			next.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r.WithContext(operation.WithTraceMode(r.Context(), mode)))
		}
	})
}

// TraceMode returns the mode that the request's header selects, if the caller may use it.
func (s *server) TraceMode(r *http.Request) (operation.TraceMode, error) {
	values := graphqlhttp.NonEmpty(r.Header[graphqlhttp.HeaderTrace])
	if len(values) == 0 {
		return operation.Untraced, nil
	}
	mode := operation.Untraced
	switch {
	case len(values) > 1:
	case values[0] == "1":
		mode = operation.TraceRun
	case values[0] == "plan":
		mode = operation.TracePlan
	}
	if mode == operation.Untraced {
		return operation.Untraced, fault.BadInput("X-ConsoleQL-Trace", "is neither 1 nor plan")
	}
	return mode, s.mayTrace(r)
}

// mayTrace returns an error if the caller may not request a trace.
func (s *server) mayTrace(r *http.Request) error {
	switch s.opts.Trace {
	case TraceOn:
	case TraceOff:
		return fault.New(fault.Forbidden, "this gateway does not trace: leave the header X-ConsoleQL-Trace out")
	case TraceAPIKey:
		if principal.FromContext(r.Context()).Credential() != principal.Service || len(graphqlhttp.NonEmpty(r.Header.Values("X-Api-Key"))) == 0 {
			return fault.New(fault.Forbidden, "this gateway traces for the holders of API keys only")
		}
	}
	return nil
}

// tracer adds a report to the answers of traced operations.
type tracer struct {
	explainer Explainer
	cached    bool
	schema    graphql.ExecutableSchema
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
} = (*tracer)(nil)

// ExtensionName is the name under which gqlgen knows the extension.
func (*tracer) ExtensionName() string { return "Trace" }

// Validate stores the schema, which names the root types.
func (t *tracer) Validate(schema graphql.ExecutableSchema) error {
	t.schema = schema
	return nil
}

// report is the trace of an operation. The context of a traced operation holds it.
type report struct {
	Calls        []call    `json:"calls"`
	ConsoleCalls int       `json:"consoleCalls"`
	Batches      []batched `json:"batches"`
	DurationMs   float64   `json:"durationMs"`
	Cache        string    `json:"cache"`
}

// call is one read or write of the console.
type call struct {
	Operation  string               `json:"operation"`
	Source     responsecache.Source `json:"source,omitempty"`
	StartMs    float64              `json:"startMs"`
	DurationMs float64              `json:"durationMs"`
	Status     int                  `json:"status,omitempty"`
	Code       fault.Code           `json:"code,omitempty"`
	AgeMs      *float64             `json:"ageMs,omitempty"` // of a read only
	With       *coalescedReport     `json:"with,omitempty"`  // only if the call was coalesced
}

// coalescedReport describes the identical call of another operation that a read waited for.
type coalescedReport struct {
	StartMs float64 `json:"startMs"` // relative to the start of this operation; mostly negative
}

type batched struct {
	Type   string `json:"kind"`
	Keys   int    `json:"keys"`
	Cached int    `json:"kept"`
}

type freshness struct {
	AgeMs float64 `json:"ageMs"`
	Stale bool    `json:"stale"`
}

// planReport is a plan and the size and depth of the operation.
type planReport struct {
	Depth int `json:"depth"`
	explain.Plan
}

// InterceptOperation answers with a plan instead of executing the operation, if the request
// asks for one.
func (t *tracer) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if operation.TraceModeOf(ctx) == operation.TracePlan {
		return graphql.OneShot(t.plan(ctx))
	}
	return next(ctx)
}

func (t *tracer) plan(ctx context.Context) *graphql.Response {
	op := graphql.GetOperationContext(ctx)
	p := planReport{
		Depth: querylimit.Depth(op),
	}
	if t.explainer != nil {
		var err error
		if p.Plan, err = t.explainer.Plan(ctx, op); err != nil {
			return &graphql.Response{Errors: gqlerror.List{apierror.Refusal(fault.CodeOf(err), "%s", err.Error())}}
		}
	}
	if p.Steps == nil {
		p.Steps = []explain.Step{}
	}
	return &graphql.Response{
		Data:       json.RawMessage("null"),
		Extensions: map[string]any{"consoleql": map[string]any{"plan": p}},
	}
}

// InterceptResponse adds the report to the answer. Events of a subscription get none, since
// other subscriptions share their polls.
func (t *tracer) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if operation.TraceModeOf(ctx) != operation.TraceRun || !operation.Executed(ctx) || graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
		return next(ctx)
	}
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	op, state := graphql.GetOperationContext(ctx), operation.FromContext(ctx)
	now, reads := time.Now(), state.Reads()
	extensions := maps.Clone(resp.Extensions)
	if extensions == nil {
		extensions = make(map[string]any, 2)
	}
	extensions["consoleql"] = t.report(op, state, reads, now)
	extensions["freshness"] = t.freshness(op, reads, now)
	resp.Extensions = extensions
	return resp
}

func (t *tracer) report(op *graphql.OperationContext, state *operation.State, reads []operation.Read, now time.Time) report {
	a := report{
		Calls:        make([]call, 0, len(reads)),
		ConsoleCalls: operation.CountCalls(reads),
		Batches:      []batched{},
		DurationMs:   accesslog.Milliseconds(now.Sub(op.Stats.OperationStart)),
		Cache:        "off",
	}
	if t.cached {
		a.Cache = "on"
	}
	slices.SortStableFunc(reads, func(a, b operation.Read) int { return a.Began.Compare(b.Began) })
	for _, r := range reads {
		a.Calls = append(a.Calls, callOf(r, op.Stats.OperationStart, now))
	}
	for _, b := range state.Batches() {
		a.Batches = append(a.Batches, batched(b))
	}
	return a
}

// callOf describes a read of an operation that began at start and ends now.
func callOf(r operation.Read, start, now time.Time) call {
	c := call{
		Operation: r.Operation, Source: r.Source, Status: r.Status, Code: r.Code,
		StartMs: accesslog.Milliseconds(r.Began.Sub(start)), DurationMs: accesslog.Milliseconds(r.Duration),
	}
	if r.Source == responsecache.Loaded && r.Code == "" {
		c.Status = http.StatusOK
	}
	if hasAge(r) && r.Kind != "" {
		age := accesslog.Milliseconds(now.Sub(r.Loaded))
		c.AgeMs = &age
	}
	if r.Source == responsecache.Coalesced && !r.Loaded.IsZero() {
		c.With = &coalescedReport{StartMs: float64(r.Loaded.Sub(start).Microseconds()) / 1000} // negative if it began earlier
	}
	return c
}

// hasAge reports whether the answer of a read has an age. The answer "not found" has one, too.
func hasAge(r operation.Read) bool {
	return r.Source != "" && (r.Code == "" || r.Code == fault.NotFound || r.ServedStaleOnError)
}

// freshness sets for each root field the age of the oldest answer that it may contain. A field
// without reads has no age.
func (t *tracer) freshness(op *graphql.OperationContext, reads []operation.Read, now time.Time) map[string]freshness {
	all := make(map[string]freshness)
	if t.explainer == nil {
		return all
	}
	root := t.schema.Schema().Query
	if op.Operation.Operation == ast.Mutation {
		root = t.schema.Schema().Mutation
	}
	for _, f := range graphql.CollectFields(op, op.Operation.SelectionSet, []string{root.Name}) {
		if f.Definition == nil {
			continue
		}
		kinds := t.explainer.Kinds(op, f)
		made := slices.DeleteFunc(slices.Clone(reads), func(r operation.Read) bool { return !hasAge(r) || !slices.Contains(kinds, r.Kind) })
		if len(made) == 0 {
			continue
		}
		oldest := slices.MinFunc(made, func(a, b operation.Read) int { return a.Loaded.Compare(b.Loaded) })
		all[cmp.Or(f.Alias, f.Name)] = freshness{
			AgeMs: accesslog.Milliseconds(now.Sub(oldest.Loaded)),
			Stale: slices.ContainsFunc(made, func(r operation.Read) bool { return r.Stale }),
		}
	}
	return all
}
