// Package operationcache keeps answers of whole queries and lets identical queries share an execution.
package operationcache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/flight"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// Options are the parameters of a Cache.
type Options struct {
	// Schema is the version of the schema, such as its text.
	Schema string
	// Validity tells which answers are still valid; required.
	Validity Validity
	// Accepted returns an error if the principal in ctx must not be answered from the cache;
	// nil: every principal is answered. It is not called for service accounts, which do not
	// expire.
	Accepted func(ctx context.Context) error
	// MaxBytes bounds the memory; default DefaultMaxBytes.
	MaxBytes uint64
	// Memory bounds the memory of executions; nil: it is not bounded.
	Memory *bytepool.Pool
	// Observe is called with the source of each query's answer. If the answer was not executed for the query, it
	// also gets the description of the answer. It may be nil. ctx is that of the query.
	Observe func(ctx context.Context, from accesslog.Source, answer *operation.Summary)
	// Logger receives panics; default: discarded.
	Logger *slog.Logger
}

// Validity is the part of *responsecache.Cache that tells whether dependencies still hold.
type Validity interface {
	// Valid reports whether an answer with the dependency may be given to any request.
	Valid(d responsecache.Dependency) bool
	// Current reports the same for requests that came while the answer was made.
	Current(d responsecache.Dependency) bool
	// ExpiredSince returns a function that reports whether a refresh has ended something that an
	// answer depends on, since the call. A client may have got newer data then.
	ExpiredSince() (expired func(responsecache.Dependency) bool)
	// Expire expires entries with the tags on all replicas, except those loaded for the
	// refresh.
	Expire(ctx context.Context, refreshID responsecache.RefreshID, tags ...string) error
}

// Cache keeps the answers of whole queries that were made of cached reads only. An
// answer is valid while all of these reads are. Identical queries under way share one
// execution. It is safe for concurrent use.
type Cache struct {
	opts    Options
	schema  [sha256.Size]byte // the hash of Options.Schema
	entries *otter.Cache[answerKey, *answer]
	// queries are the documents known to be queries, by an execution. Others are shared only if their text tells the same.
	queries *otter.Cache[graphqlhttp.DocumentKey, struct{}]
	encoder *encoder
	flights flight.Group[flightKey, *answer]
}

// flightKey identifies an execution. Callers and tokens of one principal share answers, but no execution. An execution
// may be refused for what its caller does, or for its token.
type flightKey struct {
	answerKey
	caller, token string
}

// DefaultMaxBytes is the default of Options.MaxBytes.
const DefaultMaxBytes = 64 << 20

// knownDocuments bounds the known queries.
const knownDocuments = 10_000

// New returns an empty Cache; Close ends it.
func New(o Options) (*Cache, error) {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	if o.Accepted == nil {
		o.Accepted = func(context.Context) error { return nil }
	}
	if o.Observe == nil {
		o.Observe = func(context.Context, accesslog.Source, *operation.Summary) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	onCaller := func(task func()) { task() } // no goroutine outlives the cache
	cached, err := otter.New(&otter.Options[answerKey, *answer]{
		MaximumWeight: o.MaxBytes,
		Weigher:       func(_ answerKey, a *answer) uint32 { return a.weight() },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[answerKey, *answer]) time.Duration {
			return max(1, time.Until(e.Value.expires))
		}),
		Executor: onCaller,
		Logger:   &otter.NoopLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("operationcache: make the memory for answers: %w", err)
	}
	queries, err := otter.New(&otter.Options[graphqlhttp.DocumentKey, struct{}]{MaximumSize: knownDocuments, Executor: onCaller, Logger: &otter.NoopLogger{}})
	if err != nil {
		return nil, fmt.Errorf("operationcache: make the memory for documents: %w", err)
	}
	encoder, err := newEncoder(o.Memory)
	if err != nil {
		return nil, err
	}
	return &Cache{opts: o, schema: sha256.Sum256([]byte(o.Schema)), entries: cached, queries: queries, encoder: encoder}, nil
}

// Close waits for the executions under way, which end with their clients, and frees the
// memory.
func (c *Cache) Close() {
	c.flights.Wait()
	c.entries.StopAllGoroutines()
	c.queries.StopAllGoroutines()
	c.entries.InvalidateAll()
}

// ExpiredSince is called before an execution. It returns a function that reports whether a refresh
// has ended something that its answer depends on.
func (c *Cache) ExpiredSince() (expired func(responsecache.Dependency) bool) {
	return c.opts.Validity.ExpiredSince()
}

// Before returns a transport that answers from the cache, and otherwise by t. persisted has
// the texts of automatic persisted queries. A query with its hash is registered there even if
// the cache answers it.
func (c *Cache) Before(t graphql.Transport, persisted graphqlhttp.PersistedTexts) graphql.Transport {
	return cachingTransport{c, t, persisted}
}

// cachingTransport is a transport with a cache in front.
type cachingTransport struct {
	*Cache
	graphql.Transport
	persisted graphqlhttp.PersistedTexts
}

// Do answers the request.
func (t cachingTransport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	p, ok := graphqlhttp.ParametersOf(ctx)
	if !ok {
		t.Transport.Do(w, r, exec) // it answers with the error
		return
	}
	req := t.cacheRequest(ctx, p, r.Header, graphqlhttp.AnswerType(r))
	req.header = r.Header
	req.execute = func(ctx context.Context, w http.ResponseWriter) { t.Transport.Do(w, r.WithContext(ctx), exec) }
	if req.persist != "" {
		t.persisted.Add(ctx, req.hash, req.persist)
	}
	made := t.answer(req)
	if req.persist != "" && made.cached && made.summary != nil && made.summary.Document != "" { // it is valid and has no secrets
		t.persisted.Share(ctx, req.hash, req.persist)
	}
	made.write(w, r, t.encoder)
}

// answer answers from the cache, by an execution under way, or by a new one.
func (c *Cache) answer(req *cacheRequest) *answer {
	if req.noCache || req.bypass {
		return c.run(req.ctx, req)
	}
	if cached, ok := c.hit(req.ctx, req.key); ok {
		c.opts.Observe(req.ctx, accesslog.Hit, cached.summary)
		accesslog.FromContext(req.ctx).Answered(accesslog.Hit, cached.summary, "")
		return cached
	}
	if _, known := c.queries.GetIfPresent(req.document); known || holdsQueriesOnly(req.text) {
		return c.share(req)
	}
	return c.run(req.ctx, req)
}

// holdsQueriesOnly reports whether a document that was never executed has no other operations than queries, if it is valid.
// An operation's keyword has one spelling. A hash alone tells nothing.
func holdsQueriesOnly(text string) bool {
	return text != "" && !strings.Contains(text, "mutation") && !strings.Contains(text, "subscription")
}

// hit returns the cached answer, if it may be given.
func (c *Cache) hit(ctx context.Context, key answerKey) (*answer, bool) {
	found, ok := c.entries.GetIfPresent(key)
	if !ok || !c.valid(found) {
		return nil, false
	}
	if !c.accepted(ctx) {
		return nil, false // the execution returns the error
	}
	return found, true
}

// accepted reports whether the principal in ctx may be answered without an execution of its own.
func (c *Cache) accepted(ctx context.Context) bool {
	p := principal.FromContext(ctx)
	return p.Name() == "" || p.Credential() == principal.Service || c.opts.Accepted(ctx) == nil
}

// valid reports whether an answer may be given to any request.
func (c *Cache) valid(made *answer) bool {
	return made.constant || c.opts.Validity.Valid(made.dependency)
}

// share answers by an execution that identical requests share. A request that joined gets the
// shared answer only if nothing it was made of was invalidated meanwhile, and if its own token is
// accepted. So no request gets data from before a change that precedes the request.
func (c *Cache) share(req *cacheRequest) *answer {
	p := principal.FromContext(req.ctx)
	made, joined, err := c.flights.Do(req.ctx, flightKey{req.key, p.Caller(), p.Token()}, func(ctx context.Context) (*answer, error) { return c.run(ctx, req), nil })
	switch {
	case err != nil && req.ctx.Err() != nil:
		return cancelled(req.media)
	case err != nil:
		c.opts.Logger.ErrorContext(req.ctx, "an execution ended without an answer", "error", err)
		return errorAnswer(req.media, http.StatusInternalServerError, "internal error")
	case !joined:
		return made
	case !made.query: // its text has an error
		return c.run(req.ctx, req)
	case !c.accepted(req.ctx): // its token has expired since the execution began, or the session has ended
		return c.run(req.ctx, req)
	case !made.constant && !c.opts.Validity.Current(made.dependency):
		return c.run(req.ctx, req) // the response cache lets concurrent executions share their calls
	}
	c.opts.Observe(req.ctx, accesslog.Shared, made.summary)
	accesslog.FromContext(req.ctx).Answered(accesslog.Shared, made.summary, made.requestID)
	return made
}

// run executes the request, and caches the answer if that is allowed.
func (c *Cache) run(ctx context.Context, req *cacheRequest) *answer {
	ctx, _, release := c.opts.Memory.Begin(ctx)
	defer release() // the answer is encoded by then
	inState, state, executed := c.begin(ctx, req.noCache)
	made := c.record(inState, req)
	made.compress(ctx, req.header, c.encoder)
	executed(ctx)
	query, uncacheable := state.Result()
	if made.query = query; !query {
		return made
	}
	c.opts.Observe(ctx, accesslog.Executed, nil)
	made.summary, made.requestID = state.Summary(), accesslog.RequestID(ctx)
	accesslog.FromContext(ctx).Answered(accesslog.Executed, nil, "")
	made.dependency = state.Dependency()
	made.stale, _ = state.Stale()
	made.constant = len(state.Reads()) == 0 && !uncacheable
	if req.document != (graphqlhttp.DocumentKey{}) {
		c.queries.Set(req.document, struct{}{})
	}
	if made.status == http.StatusOK && !uncacheable && !req.bypass && c.valid(made) {
		made.setCacheHeaders()
		c.entries.Set(req.key, made)
	}
	return made
}

// begin returns a context with the state of a new operation. With noCache its reads bypass the cache. The caller calls
// executed before it sends the answer.
func (c *Cache) begin(ctx context.Context, noCache bool) (_ context.Context, _ *operation.State, executed func(context.Context)) {
	options := operation.ReadOptions{Refresh: noCache, Batches: operation.TraceModeOf(ctx) != operation.Untraced}
	if noCache {
		options.RefreshID = responsecache.NewRefreshID()
	}
	state := operation.New(options)
	return operation.NewContext(ctx, state), state, func(ctx context.Context) {
		if noCache {
			c.expire(ctx, options.RefreshID, state.ExpiredTags())
		}
	}
}

// expireTimeout bounds how long a refreshed answer waits until no replica gives an older one.
// Replicas that hang have lost their leases by then.
const expireTimeout = 1500 * time.Millisecond

// expire expires entries older than the refresh, such as other pages of the same list, on all
// replicas.
func (c *Cache) expire(ctx context.Context, refreshID responsecache.RefreshID, tags []string) {
	if len(tags) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, expireTimeout)
	defer cancel()
	if err := c.opts.Validity.Expire(ctx, refreshID, tags...); err != nil {
		c.opts.Logger.WarnContext(ctx, "not all replicas confirmed a refresh", "error", err)
	}
}

// record executes the request and records the response. It recovers panics, since no other
// function on this goroutine does.
func (c *Cache) record(ctx context.Context, req *cacheRequest) (made *answer) {
	rec := graphqlhttp.NewRecorder()
	defer func() {
		if v := recover(); v != nil {
			fault.LogPanic(ctx, c.opts.Logger, apierror.PanicMessage, v)
			made = errorAnswer(req.media, http.StatusInternalServerError, "internal error")
		}
	}()
	req.execute(ctx, rec)
	return recorded(rec)
}

// recorded returns the recorded answer.
func recorded(r *graphqlhttp.Recorder) *answer {
	return &answer{status: r.Status, header: r.Header(), body: r.Body.Bytes()}
}

// cancelled is the answer for a client that has gone.
func cancelled(media string) *answer { return errorAnswer(media, 499, "the request was cancelled") }

// errorAnswer is the answer of a request that has no result.
func errorAnswer(media string, status int, message string) *answer {
	rec := graphqlhttp.NewRecorder()
	graphqlhttp.WriteErrorAs(rec, media, status, fault.New(fault.Internal, "%s", message))
	return recorded(rec)
}
