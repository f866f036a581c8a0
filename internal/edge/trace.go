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

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/explain"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// TracePolicy says who may ask for an account of an answer.
type TracePolicy string

// The policies of the setting CONSOLEQL_TRACE. The zero policy is TraceOn.
const (
	TraceOn     TracePolicy = "on"      // whoever may ask
	TraceAPIKey TracePolicy = "api-key" // whoever shows an API key
	TraceOff    TracePolicy = "off"     // nobody
)

// Explainer knows what an operation asks the console for.
type Explainer interface {
	// Kinds are the kinds of console answers that a root field may be made of.
	Kinds(op *graphql.OperationContext, field graphql.CollectedField) []string
	// Plan estimates what the operation asks for, without asking anybody. An error is
	// about the operation's arguments.
	Plan(ctx context.Context, op *graphql.OperationContext) (explain.Plan, error)
}

// admitTrace reads the header, and refuses it where it is not for the caller.
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

// TraceMode is what the request's header wants to know, if it may.
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

// mayTrace is why the caller may not have an account; nil if it may.
func (s *server) mayTrace(r *http.Request) error {
	switch s.opts.Trace {
	case TraceOn:
	case TraceOff:
		return fault.New(fault.Forbidden, "this gateway does not trace: leave the header X-ConsoleQL-Trace out")
	case TraceAPIKey:
		if principal.FromContext(r.Context()).Kind() != principal.Service || len(graphqlhttp.NonEmpty(r.Header.Values("X-Api-Key"))) == 0 {
			return fault.New(fault.Forbidden, "this gateway traces for the holders of API keys only")
		}
	}
	return nil
}

// tracer accounts for answers whose request wants to know.
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

// Validate keeps the schema, which names the root types.
func (t *tracer) Validate(schema graphql.ExecutableSchema) error {
	t.schema = schema
	return nil
}

// report is what is told of an operation; it is in the context of one that is traced.
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
	AgeMs      *float64             `json:"ageMs,omitempty"` // of what was read; not of a write
	With       *coalescedReport     `json:"with,omitempty"`  // of one that was coalesced
}

// coalescedReport is the identical call of another operation that a read waited for.
type coalescedReport struct {
	StartMs float64 `json:"startMs"` // from the beginning of this operation; mostly before it
}

type batched struct {
	Kind string `json:"kind"`
	Keys int    `json:"keys"`
	Kept int    `json:"kept"`
}

type freshness struct {
	AgeMs float64 `json:"ageMs"`
	Stale bool    `json:"stale"`
}

// planReport is a plan with what the gateway itself knows of the operation.
type planReport struct {
	Depth int `json:"depth"`
	explain.Plan
}

// InterceptOperation answers with a plan in the place of the operation, where that is asked for.
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

// InterceptResponse accounts for the answer. The events of a subscription have polls
// behind them that others share, and are not accounted for.
func (t *tracer) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if operation.TraceModeOf(ctx) != operation.TraceRun || !operation.Executed(ctx) || graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
		return next(ctx)
	}
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	op, way := graphql.GetOperationContext(ctx), operation.FromContext(ctx)
	now, reads := time.Now(), way.Reads()
	extensions := maps.Clone(resp.Extensions)
	if extensions == nil {
		extensions = make(map[string]any, 2)
	}
	extensions["consoleql"] = t.report(op, way, reads, now)
	extensions["freshness"] = t.freshness(op, reads, now)
	resp.Extensions = extensions
	return resp
}

func (t *tracer) report(op *graphql.OperationContext, way *operation.State, reads []operation.Read, now time.Time) report {
	a := report{
		Calls:        make([]call, 0, len(reads)),
		ConsoleCalls: consoleCalls(reads),
		Batches:      []batched{},
		DurationMs:   millis(now.Sub(op.Stats.OperationStart)),
		Cache:        "off",
	}
	if t.cached {
		a.Cache = "on"
	}
	slices.SortStableFunc(reads, func(a, b operation.Read) int { return a.Began.Compare(b.Began) })
	for _, r := range reads {
		a.Calls = append(a.Calls, callOf(r, op.Stats.OperationStart, now))
	}
	for _, b := range way.Batches() {
		a.Batches = append(a.Batches, batched(b))
	}
	return a
}

// callOf tells a read of an operation that began at start and ends now.
func callOf(r operation.Read, start, now time.Time) call {
	c := call{
		Operation: r.Operation, Source: r.Source, Status: r.Status, Code: r.Code,
		StartMs: millis(r.Began.Sub(start)), DurationMs: millis(r.Duration),
	}
	if r.Source == responsecache.Loaded && r.Code == "" {
		c.Status = http.StatusOK
	}
	if told(r) && r.Kind != "" {
		age := millis(now.Sub(r.Loaded))
		c.AgeMs = &age
	}
	if r.Source == responsecache.Coalesced && !r.Loaded.IsZero() {
		c.With = &coalescedReport{StartMs: float64(r.Loaded.Sub(start).Microseconds()) / 1000} // negative where it began before
	}
	return c
}

// told says whether a read has an answer that has an age: that there is nothing is one, too.
func told(r operation.Read) bool {
	return r.Source != "" && (r.Code == "" || r.Code == fault.NotFound || r.ServedStaleOnError)
}

// freshness tells of each root field how old the oldest answer is that it may be made
// of. A field that read nothing has no age.
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
		made := slices.DeleteFunc(slices.Clone(reads), func(r operation.Read) bool { return !told(r) || !slices.Contains(kinds, r.Kind) })
		if len(made) == 0 {
			continue
		}
		oldest := slices.MinFunc(made, func(a, b operation.Read) int { return a.Loaded.Compare(b.Loaded) })
		all[cmp.Or(f.Alias, f.Name)] = freshness{
			AgeMs: millis(now.Sub(oldest.Loaded)),
			Stale: slices.ContainsFunc(made, func(r operation.Read) bool { return r.Stale }),
		}
	}
	return all
}

// millis is d in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(max(0, d.Microseconds())) / 1000 }
