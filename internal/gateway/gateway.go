// Package gateway is the whole service as a value: New puts its parts together and listens, Run serves until ctx ends.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/redis/go-redis/v9"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/generated"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/mutation"
	"github.com/consoleql/consoleql/graph/relation"
	"github.com/consoleql/consoleql/graph/resolver"
	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/graph/subscription"
	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/buildinfo"
	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/edge/certificate"
	"github.com/consoleql/consoleql/internal/edge/graphiql"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
	edgetransport "github.com/consoleql/consoleql/internal/edge/transport"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/listenaddress"
	"github.com/consoleql/consoleql/internal/logqueue"
	"github.com/consoleql/consoleql/internal/mcp"
	"github.com/consoleql/consoleql/internal/operationcache"
	"github.com/consoleql/consoleql/internal/redisclient"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/telemetry"
	"github.com/consoleql/consoleql/internal/textfile"
	"github.com/consoleql/consoleql/internal/tokencache"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
	"github.com/consoleql/consoleql/internal/verify"
)

// Gateway is the whole service as a value: its components and listeners.
type Gateway struct {
	settings       *Settings
	log            *slog.Logger
	schema         *ast.Schema
	Tokens         *tokencache.Cache
	keys           *apikey.File           // nil: none
	keyring        *tokencache.Keyring    // nil: there are no token keys
	documents      *trusteddocuments.List // nil: none
	tools          *mcp.Tools             // nil: no agents
	parsed         graphql.Cache[*ast.QueryDocument]
	files          *textfile.Watcher // reloads files of keys, passwords and documents
	Hangups        <-chan os.Signal  // each signal reloads the files; nil: none
	verifier       *verify.Verifier  // nil: tokens are not verified
	client         *consoleclient.Client
	cache          *responsecache.Cache  // nil: caching is off
	operationCache *operationcache.Cache // nil if cache is nil
	console        *cachedconsole.Console
	memory         *bytepool.Pool
	realm          string                            // identifies the SSO in the principals' shared names
	usernames      atomic.Pointer[map[string]string] // of the service accounts
	password       string                            // of the default service account, as it was last read
	sso            *consoleclient.SSO
	executor       *idempotency.Executor
	subscriptions  *subscription.Service
	streams        edgetransport.Streams
	redis          redis.UniversalClient // nil: state is in memory
	redisDialer    *redisclient.Dialer   // nil if redis is nil
	connectionLogs []*telemetry.ConnectionLog
	components     *components
	metrics        *telemetry.Metrics
	traces         *telemetry.Tracing       // nil: tracing is off
	accessLines    *logqueue.Queue          // nil: the access log is off
	auditLines     *logqueue.Queue          // nil: the audit log is off
	audit          *audit.Log               // nil: off
	auditFile      *audit.File              // nil: the audit log is no file
	redisSeen      atomic.Bool              // Redis has replied once
	stopping       atomic.Bool              // shutdown has begun
	certificate    *certificate.Certificate // nil: no TLS
	authorities    *transport.Authorities   // nil: the system's
	public         httpListener
	Admin          *httpListener // nil: no admin listener
}

// Page is the initial content of GraphiQL, and the page beside it.
type Page struct {
	Examples  []graphiql.Example
	Notice    string
	Dashboard http.Handler // nil: none
}

// New creates the components and opens the listeners. Run serves and closes them.
func New(ctx context.Context, s *Settings, log *slog.Logger, p Page) (_ *Gateway, err error) {
	g := &Gateway{settings: s, log: log, components: newComponents(log), memory: bytepool.New(0)}
	if s.MaxComplexity != "" {
		log.Warn("--max-complexity is ignored and will be refused by the next release: see --max-console-calls, --max-answer-bytes and --max-answer-values")
	}
	defer func() { //nolint:contextcheck // cleanup must run even if ctx has ended
		if err != nil {
			g.release()
		}
	}()
	if err = g.openSchema(); err != nil { //nolint:contextcheck // parsing documents belongs to no request
		return nil, err
	}
	build := buildinfo.Read()
	g.metrics = telemetry.NewMetrics(g.isMetricOperation)
	g.components.register(g.metrics)
	g.metrics.Build(build.Version, build.Revision, build.Go)
	if g.traces, err = telemetry.NewTracing(ctx, s.OTLPURL, build.Version, s.toCollector(log), log); err != nil {
		return nil, err
	}
	if g.certificate, err = certificate.Open(s.TLSCertFile, s.TLSKeyFile); err != nil {
		return nil, err
	}
	if err := g.openAuditLog(); err != nil {
		return nil, err
	}
	if err := g.openRedis(); err != nil {
		return nil, err
	}
	if err := g.openCache(); err != nil {
		return nil, err
	}
	if err := g.dialConsole(); err != nil { //nolint:contextcheck // keys outlive the start
		return nil, err
	}
	if err := g.openConsole(); err != nil {
		return nil, err
	}
	engine, err := loader.New(g.console, s.relations(), s.loaderOptions(log))
	if err != nil {
		return nil, err
	}
	g.openStore()
	g.openSubscriptions(engine)
	g.metrics.Watch(g.subscriptions.Subscriptions, g.subscriptions.Polls)
	g.metrics.AnswerMemory(g.memory.Used, g.memory.Waiting)
	options := g.edgeOptions(engine, p)
	g.setIdentity(&options)
	if err := g.openOperationCache(&options); err != nil {
		return nil, err
	}
	if g.public, err = listen(ctx, listenOptions{s.Listen, s.IdleTimeout, options.SlowReaders, g.certificate, log}, edge.New(options)); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if s.AdminListen != "" {
		admin, err := listen(ctx, listenOptions{address: s.AdminListen, idle: s.IdleTimeout, log: log}, g.adminHandler())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--admin-listen: %w", err), g.public.Close())
		}
		g.Admin = &admin
	}
	return g, nil
}

// openSubscriptions creates the service of subscriptions.
func (g *Gateway) openSubscriptions(source subscription.Source) {
	s := g.settings
	o := subscription.Options{Interval: s.PollInterval, MaxSubscriptions: s.MaxSubscriptions, MaxPerCaller: s.MaxSubscriptionsPerCaller, Logger: g.log, NameInLogs: g.nameInLogs}
	if g.cache != nil {
		o.Cache = g.console
	}
	g.subscriptions = subscription.New(source, o)
}

// edgeOptions returns the options of the public listener.
func (g *Gateway) edgeOptions(engine *loader.Engine, p Page) edge.Options {
	s := g.settings
	options := edge.Options{
		Schema:     g.executable(),
		FieldTypes: relation.Types(),
		Extensions: []graphql.HandlerExtension{audit.Extension{Log: g.audit}, loader.Extension{
			Engine:         engine,
			CheckInput:     mutation.InputChecker(),
			Closed:         func(l *loader.Loaders) { g.metrics.Unplanned(l.Unplanned()) },
			BudgetExceeded: g.metrics.BudgetExceeded,
		}, subscription.Extension{}, trusteddocuments.Extension{List: g.documents}},
		Documents:   g.documents,
		MCP:         g.tools,
		Parsed:      g.parsed,
		SDL:         schema.SDL(),
		Anonymous:   s.Anonymous,
		Limits:      s.edgeLimits(),
		Trace:       edge.TracePolicy(s.Trace),
		Explainer:   engine,
		Origins:     s.AllowedOrigins,
		Streams:     &g.streams,
		SlowReaders: &slowreader.Limiter{},
		Memory:      g.memory,
		Keepalive:   s.StreamKeepalive,
		Ready:       g.readiness,
		Stopping:    g.stopping.Load,
		Logger:      g.log,
	}
	if g.redis != nil && s.documentsMode() != trusteddocuments.Only {
		options.SharedTexts = trusteddocuments.NewSharedTexts(g.redis, g.log)
	}
	if s.Federation == "on" {
		options.SDL = schema.FederatedSDL()
	}
	if s.GraphiQL != "off" {
		options.GraphiQL = &graphiql.Options{Examples: p.Examples, Notice: p.Notice}
	}
	options.Dashboard = p.Dashboard
	g.observe(&options)
	return options
}

// executable returns the schema with its resolvers.
func (g *Gateway) executable() graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{
		Schema: g.schema,
		Resolvers: &resolver.Resolver{
			Mutations:     mutation.New(g.console, g.executor, g.Tokens, g.sharedName, g.settings.DirectUploadBytes),
			Sessions:      mutation.SessionService{Sessions: g.Tokens, Cache: g.console},
			Subscriptions: g.subscriptions,
		},
	})
}

// openRedis creates the Redis client. It does not connect yet.
func (g *Gateway) openRedis() (err error) {
	if g.settings.RedisURL == "" {
		return nil
	}
	g.redisDialer = redisclient.NewDialer(g.log)
	if g.redis, err = redisclient.Dial(g.settings.RedisURL, g.redisDialer); err != nil {
		return err
	}
	g.redis.AddHook(g.metrics.RedisHook(g.observeRedis))
	return nil
}

// openStore opens the idempotency store, in Redis for any number of replicas, or in memory.
func (g *Gateway) openStore() {
	var store idempotency.Store = idempotency.NewMemory(idempotency.MemoryOptions{})
	if g.redis != nil {
		// Consoles that share a Redis do not share idempotency keys.
		o := idempotency.RedisOptions{Client: g.redis, Prefix: idempotency.DefaultPrefix + hash(g.settings.ConsoleURL) + ":"}
		if g.keyring != nil { // a nil pointer in an interface is not nil
			o.Sealer = g.keyring
		}
		store = idempotency.NewRedis(o)
	}
	g.executor = idempotency.New(store, idempotency.Options{Retention: g.settings.IdempotencyRetention, RunTimeout: g.settings.runTimeout(), Logger: g.log})
}

// URL returns the URL of the public listener for a browser.
func (g *Gateway) URL() string {
	scheme := "http://"
	if g.certificate != nil {
		scheme = "https://"
	}
	return scheme + listenaddress.Reachable(g.public.Addr().String())
}

// Run serves until ctx is done, then drains the requests in flight.
func (g *Gateway) Run(ctx context.Context) error {
	defer g.Close() //nolint:contextcheck // cleanup must run even if ctx has ended
	failed := make(chan error, 2)
	serve := func(l httpListener) {
		if err := l.serve(); err != nil {
			failed <- err
		}
	}
	go serve(g.public)
	g.logStart()
	if g.Admin != nil {
		go serve(*g.Admin)
		g.log.Info("admin listening", "admin_address", g.Admin.Addr().String())
	}
	if g.settings.Anonymous {
		g.log.Warn("callers without credentials act as the default service account", "username", g.settings.Username)
	}
	g.logIdentity()
	background, stopBackground := context.WithCancel(ctx)
	var ended sync.WaitGroup
	hangups := g.onHangup(background, &ended)
	ended.Go(func() { g.files.Run(background, hangups) })
	if g.redis != nil {
		ended.Go(func() { g.checkRedis(background) })
	}
	defer ended.Wait()
	defer stopBackground()
	warm, stopWarming := context.WithTimeout(ctx, g.settings.ConsoleTimeout)
	defer stopWarming()
	if err := g.Tokens.Warm(warm); err != nil {
		// The console may be unavailable. Each request then fails with its own error.
		g.log.Warn("no token for the default service account yet", "code", fault.CodeOf(err), "error", err)
	}
	var err error
	select {
	case <-ctx.Done():
		g.stopping.Store(true)
		if errors.Is(context.Cause(ctx), ErrTerminated) {
			g.waitForDeregistration()
		}
	case err = <-failed:
	}
	return errors.Join(err, g.drain(context.WithoutCancel(ctx)))
}

// ErrTerminated is the cause of a context that ends because the process is to be replaced.
var ErrTerminated = errors.New("the process is terminated")

// waitForDeregistration keeps serving while /readyz fails, so that load balancers can stop sending requests.
func (g *Gateway) waitForDeregistration() {
	if g.settings.ShutdownDelay > 0 {
		g.log.Info("not ready: serving until load balancers stop sending requests", "delay", g.settings.ShutdownDelay.String())
		time.Sleep(g.settings.ShutdownDelay)
	}
}

func (g *Gateway) drain(ctx context.Context) error {
	g.log.Info("stopping")
	ctx, cancel := context.WithTimeout(ctx, g.settings.ShutdownTimeout)
	defer cancel()
	if err := g.public.tcp.Drain(ctx); err != nil {
		g.log.Info("connections that were not accepted yet may be lost", "error", err)
	}
	err := errors.Join(g.streams.Shutdown(ctx), g.public.tcp.Shutdown(ctx, g.public.server))
	if g.Admin != nil {
		err = errors.Join(err, g.Admin.server.Shutdown(ctx))
	}
	err = errors.Join(err, g.executor.Close(ctx))
	g.sendTraces(context.WithoutCancel(ctx)) // has its own time limit
	if err != nil {
		return fmt.Errorf("stopped with requests under way: %w", err)
	}
	g.log.Info("stopped")
	return nil
}

// Close closes the listeners and releases all components.
func (g *Gateway) Close() {
	_ = g.public.server.Close() // nothing to close after a clean drain
	if g.Admin != nil {
		_ = g.Admin.server.Close()
	}
	g.release()
}

// release closes the components that exist.
func (g *Gateway) release() {
	if g.subscriptions != nil {
		g.subscriptions.Close()
	}
	if g.operationCache != nil {
		g.operationCache.Close()
	}
	if g.cache != nil {
		g.cache.Close()
	}
	if g.Tokens != nil {
		g.Tokens.Close()
	}
	if g.verifier != nil {
		g.verifier.Close()
	}
	if g.client != nil {
		g.client.CloseIdleConnections()
	}
	if g.sso != nil {
		g.sso.CloseIdleConnections()
	}
	if g.redis != nil {
		_ = g.redis.Close() // no writes are pending
	}
	if g.redisDialer != nil {
		g.redisDialer.Close()
	}
	for _, l := range g.connectionLogs {
		l.Close()
	}
	g.components.close()
	g.sendTraces(context.Background()) // a no-op after a clean drain
	g.closeLogs()
}
