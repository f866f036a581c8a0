// Package edge serves HTTP: routes, the middlewares of the endpoint, credentials, origins,
// timeouts and health.
package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/go-chi/chi/v5"
	"github.com/vektah/gqlparser/v2/ast"
	"go.opentelemetry.io/otel/trace"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/edge/graphiql"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	"github.com/consoleql/consoleql/internal/edge/transport"
	"github.com/consoleql/consoleql/internal/mcp"
	"github.com/consoleql/consoleql/internal/operationcache"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// DefaultKeepalive is the default of Options.Keepalive.
const DefaultKeepalive = 15 * time.Second

// DashboardPrefix is the path below which the dashboard is served.
const DashboardPrefix = "/dashboard/"

// Options configure the public listener.
type Options struct {
	// FieldTypes are the entity types that fields read, by type and field, where the types of the fields do not tell them.
	FieldTypes map[string][]string
	// Schema executes operations. Extensions intercept each of them.
	Schema     graphql.ExecutableSchema
	Extensions []graphql.HandlerExtension
	// SDL is the schema as text.
	SDL string
	// GraphiQL configures the GraphiQL page; nil: there is none.
	GraphiQL *graphiql.Options
	// Dashboard is served below /dashboard/; nil: there is none.
	Dashboard http.Handler
	// Anonymous lets callers without credentials act as the default service account.
	Anonymous bool
	// Keys finds the principal of an API key; nil: there are no keys.
	Keys Keys
	// Verifier verifies console tokens; nil: only the console checks them.
	Verifier Verifier
	Limits   querylimit.Limits
	// Trace is the policy for traces; default TraceOn.
	Trace TracePolicy
	// Explainer plans an operation's console calls; nil: there are no plans, and traces lack
	// the age of root fields.
	Explainer Explainer
	// OperationCache caches the answers of queries; nil: each query is executed.
	OperationCache *operationcache.Cache
	// Documents are the trusted documents; nil: there are none.
	Documents *trusteddocuments.List
	// MCP are the trusted documents that agents run at /mcp; nil: there is no such endpoint.
	MCP *mcp.Tools
	// Parsed caches parsed documents; default: a new [querylimit.NewParsedDocuments].
	Parsed graphql.Cache[*ast.QueryDocument]
	// SharedTexts are the texts of automatic persisted queries that replicas share; nil: none.
	SharedTexts graphqlhttp.SharedTexts
	// Origins are the origins whose pages may use the endpoint beside the gateway's own, as
	// [ParseOrigin] accepts them.
	Origins []string
	// Streams holds the running subscriptions. The caller shuts it down before the HTTP
	// server, which would wait for them. Default: one that is never shut down.
	Streams *transport.Streams
	// SlowReaders bounds the answers that wait for WebSocket clients to read them; nil: there is no
	// bound. The listener needs it as well; see CoalesceWrites.
	SlowReaders *slowreader.Limiter
	// Memory bounds the memory of large answers; nil: it is not bounded.
	Memory *bytepool.Pool
	// Keepalive is the interval of keepalive comments on quiet streams, and of pings on
	// WebSockets; default DefaultKeepalive. Proxies close connections that seem idle, commonly after 60 s.
	Keepalive time.Duration
	// Ready returns the state of the gateway; nil: it is always ready. Each /readyz calls it.
	Ready func(context.Context) Readiness
	// Stopping reports whether shutdown has begun; nil: never. Answers close their connections then.
	Stopping func() bool
	// Access writes a line for each request and for each operation of a WebSocket; nil: none.
	Access *accesslog.Log
	// Audit records requests that are refused for their credentials; nil: none.
	Audit *audit.Log
	// LogClients records the addresses and user agents of clients. Proxies are the networks whose
	// X-Forwarded-For is trusted.
	LogClients bool
	Proxies    accesslog.Proxies
	// Observe is called for each answered request; it may be nil.
	Observe func(Request)
	// ObserveOperation is called with each operation that was executed or refused; it may be
	// nil.
	ObserveOperation func(Operation)
	// SlowOperation is the duration above which an operation is logged as slow; 0: never.
	SlowOperation time.Duration
	// RouteMiddleware, if not nil, wraps the endpoint of a route, for example with a span for each request.
	RouteMiddleware func(route string) func(http.Handler) http.Handler
	// Tracer makes spans of operations; nil: there are none.
	Tracer trace.Tracer
	// Logger receives details that callers do not get; default: discarded.
	Logger *slog.Logger
}

// Keys finds the principal of an API key.
type Keys interface {
	Find(key string) (principal.Principal, bool)
}

// Verifier verifies a console token and returns its principal.
type Verifier interface {
	Verify(ctx context.Context, token string) (principal.Principal, error)
}

// Request is an answered HTTP request.
type Request struct {
	Route    string // the route's pattern, never the caller's path
	Method   string
	Status   int
	Duration time.Duration
	Stream   bool // the duration is that of the client's stay
	// Refused is the code of a request that was refused without an operation; empty: it was not.
	Refused string
	// Principal is the caller, as far as it is known.
	Principal principal.Principal
}

type server struct {
	opts   Options
	bodies *graphqlhttp.BodyPool
	// persisted maps hashes to the texts of automatic persisted queries.
	persisted graphqlhttp.PersistedTexts
	signIn    graphqlhttp.SignInCheck

	uploads, unverifiedUploads quota.Quota
}

// New returns the handler of the public listener.
func New(opts Options) http.Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Streams == nil {
		opts.Streams = &transport.Streams{}
	}
	if opts.Keepalive <= 0 {
		opts.Keepalive = DefaultKeepalive
	}
	if opts.RouteMiddleware == nil {
		opts.RouteMiddleware = func(string) func(http.Handler) http.Handler {
			return func(h http.Handler) http.Handler { return h }
		}
	}
	opts.Limits = opts.Limits.WithDefaults()
	if opts.Parsed == nil {
		opts.Parsed = querylimit.NewParsedDocuments(opts.Schema.Schema())
	}
	s := &server{
		opts: opts, bodies: graphqlhttp.NewBodyPool(4 * opts.Limits.BodyBytes),
		persisted: graphqlhttp.PersistedTexts{
			Documents: graphqlhttp.NewDocuments(graphqlhttp.MaxDocumentBytes, func(hash, text string) int { return len(hash) + len(text) }), Shared: opts.SharedTexts,
		},
	}
	s.uploads.Total, s.unverifiedUploads.Total = maxUploads, maxUploads/2
	s.signIn = graphqlhttp.SignInCheck{Persisted: s.persisted, Tokens: opts.Limits.Tokens}

	r := chi.NewRouter()
	chain := s.chain()
	r.Use(mountedAt(chain, atListener)...)
	graphql := s.graphql()
	r.With(mountedAt(chain, atGraphQL)...).Handle("/graphql", graphql)
	if opts.MCP != nil {
		r.With(mountedAt(chain, atMCP)...).Handle("/mcp", s.agents(graphql))
	}
	get := func(path string, h http.HandlerFunc) {
		r.Get(path, h)
		r.Head(path, h)
	}
	get("/healthz", healthy)
	get("/readyz", s.ready())
	if !opts.Limits.NoIntrospection {
		get("/schema.graphql", s.sdl)
	}
	r.MethodNotAllowed(refuseMethod(r))
	if opts.GraphiQL != nil {
		page := graphiql.Handler(*opts.GraphiQL)
		r.Handle("/", page)
		r.Handle(graphiql.AssetPrefix+"*", page)
	}
	if opts.Dashboard != nil {
		r.Handle(DashboardPrefix+"*", http.StripPrefix(strings.TrimSuffix(DashboardPrefix, "/"), opts.Dashboard))
		r.Handle(strings.TrimSuffix(DashboardPrefix, "/"), http.RedirectHandler(DashboardPrefix, http.StatusMovedPermanently))
	}
	return r
}

// refuseMethod returns the handler of methods that a route does not support. The router calls it on any path for methods that
// it does not know.
func refuseMethod(routes chi.Routes) http.HandlerFunc {
	graphQL, agents := noStoreByDefault(http.HandlerFunc(transport.RefuseMethod)), noStoreByDefault(http.HandlerFunc(mcp.RefuseMethod))
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !routes.Match(chi.NewRouteContext(), http.MethodGet, r.URL.Path):
			http.NotFound(w, r)
		case r.URL.Path == "/graphql":
			graphQL.ServeHTTP(w, r)
		case r.URL.Path == "/mcp":
			agents.ServeHTTP(w, r)
		default:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}
}

// mountPoints is a set of handlers that a middleware of the chain wraps.
type mountPoints uint8

const (
	atListener mountPoints = 1 << iota // before the router: every request passes
	atGraphQL                          // at the endpoint /graphql
	atMCP                              // at the endpoint /mcp
	unmounted  mountPoints = 0
)

// link is a middleware of the chain, and its mount points.
type link struct {
	at         mountPoints
	middleware func(http.Handler) http.Handler
}

// chain lists the middlewares in their order, the first one outermost.
func (s *server) chain() []link {
	const atEndpoints = atGraphQL | atMCP
	crossOrigin, guarded := unmounted, atMCP
	if len(s.opts.Origins) > 0 {
		crossOrigin = atEndpoints
	}
	if s.opts.Anonymous {
		guarded |= atGraphQL
	}
	return []link{
		{atListener, s.coalescedWrites},
		{atListener, slowreader.Streams(s.opts.SlowReaders)},
		{atListener, s.closeWhileStopping},
		{atListener, readDeadline(bodyTimeout)},
		{atListener, s.observe},
		{atGraphQL, s.opts.RouteMiddleware("/graphql")},
		{atMCP, s.opts.RouteMiddleware("/mcp")},
		{atEndpoints, noStoreByDefault},
		{atMCP, viaMCP},
		{crossOrigin, s.allowOrigins()},
		{atEndpoints, s.rejectCrossOrigin()},
		{guarded, s.rebindingGuard},
		{atEndpoints, s.identify},
		{atGraphQL, s.admitTrace},
		{atMCP, s.admitAgent},
		{atEndpoints, s.countBody},
		{atEndpoints, s.limitBody},
		{atGraphQL, s.limitUploads},
		{atGraphQL, ignoreUpgrade},
		{atGraphQL, s.readParameters},
		{atGraphQL, s.admitSignIn},
	}
}

// mountedAt returns the middlewares of a chain that wrap a handler.
func mountedAt(chain []link, at mountPoints) []func(http.Handler) http.Handler {
	var all []func(http.Handler) http.Handler
	for _, l := range chain {
		if l.at&at != 0 {
			all = append(all, l.middleware)
		}
	}
	return all
}

// graphql returns the handler of the endpoint /graphql.
func (s *server) graphql() http.Handler {
	h := handler.New(s.opts.Schema)
	for _, t := range transport.List(transport.Options{
		Authenticator: s, Limits: s.opts.Limits, Origins: s.opts.Origins, Streams: s.opts.Streams, SlowReaders: s.opts.SlowReaders, Keepalive: s.opts.Keepalive,
		OperationCache: s.opts.OperationCache, Parsing: querylimit.NewParsing(s.opts.Parsed, s.opts.Limits.Wait), Persisted: s.persisted, Documents: s.opts.Documents, Access: s.opts.Access, Audit: s.opts.Audit, Logger: s.opts.Logger,
	}) {
		h.AddTransport(t)
	}
	h.SetQueryCache(s.opts.Parsed)
	h.SetParserTokenLimit(s.opts.Limits.Tokens)
	h.SetValidationRulesFn(querylimit.ValidationRules(s.opts.Limits.Fields, !s.opts.Limits.NoIntrospection))
	errs := apierror.Presenter{Log: s.opts.Logger, CodeOfRule: querylimit.RuleCode}
	h.SetErrorPresenter(querylimit.LimitErrors(errs.Present))
	h.SetRecoverFunc(errs.Recover)
	for _, x := range s.extensions() {
		h.Use(x)
	}
	return h
}

func (s *server) sdl(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") // browsers display text/plain
	_, _ = w.Write([]byte(s.opts.SDL))                          // the client may have closed the connection
}

// extensions returns the extensions that intercept each operation, the outermost first.
func (s *server) extensions() []graphql.HandlerExtension {
	seen := operations{observe: s.opts.ObserveOperation, slow: s.opts.SlowOperation, tracer: s.opts.Tracer, log: s.opts.Logger}
	if s.opts.OperationCache != nil {
		seen.expiredSince = s.opts.OperationCache.ExpiredSince
	}
	return append([]graphql.HandlerExtension{
		seen,
		querylimit.NewAnswerLimits(s.opts.Limits, s.opts.Memory),
		&tracer{explainer: s.opts.Explainer, cached: s.opts.OperationCache != nil},
		graphqlhttp.Staleness{},
		extension.Introspection{},
		graphqlhttp.NewPersistedQueries(s.persisted),
		querylimit.NewKeyPolicy(s.opts.Schema.Schema(), s.opts.FieldTypes),
		&querylimit.Limiter{Limits: s.opts.Limits},
	}, s.opts.Extensions...)
}
