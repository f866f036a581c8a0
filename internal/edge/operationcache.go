package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/flight"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/trail"
)

// OperationCacheOptions are what Answers are made of.
type OperationCacheOptions struct {
	// Schema is the version of the schema, such as its text.
	Schema string
	// Validity says what has become of what an answer was made of; required.
	Validity Validity
	// Accepted says whether the principal in ctx may still be answered without asking
	// anybody; nil: always. It is not asked for service accounts, which do not end.
	Accepted func(ctx context.Context) error
	// MaxBytes bounds the memory; default 64 MiB.
	MaxBytes uint64
	// Observe is told of each answer of a query by this cache; nil: nobody.
	Observe func(CacheSource)
	// Logger is told of panics; default: discarded.
	Logger *slog.Logger
}

// Validity is what *responsecache.Cache says of what depends on its answers.
type Validity interface {
	// Valid says that what depends on d may be given to anybody who asks now.
	Valid(d responsecache.Dependency) bool
	// Current says the same to those who asked while it was made.
	Current(d responsecache.Dependency) bool
	// Overtaken says that what depends on d was outdated for what is newer, of which somebody
	// may have been told.
	Overtaken(d responsecache.Dependency) bool
	// Outdate makes what carries the tags a thing of the past, on all replicas, but for what
	// was read for of.
	Outdate(ctx context.Context, of responsecache.RefreshID, tags ...string) error
}

// CacheSource is where the answer of a query came from.
type CacheSource string

// The sources.
const (
	AnswerHit      CacheSource = "hit"      // kept from an earlier request
	AnswerShared   CacheSource = "shared"   // made for an identical request that was under way
	AnswerExecuted CacheSource = "executed" // made for this request
)

// OperationCache keeps the answers of whole queries: those that were made of nothing but what
// the response cache keeps, for as long as all of that is valid. It lets identical
// queries under way share one execution. It is safe for concurrent use.
type OperationCache struct {
	opts   OperationCacheOptions
	schema [sha256.Size]byte // the hash of its version
	kept   *otter.Cache[answerKey, *answer]
	// queries are the documents known to be queries: nothing else is ever shared.
	queries *otter.Cache[documentKey, struct{}]
	encoder *encoder
	flights flight.Group[answerKey, *answer]
}

// knownDocuments bounds how many documents are known to be queries; one that is
// forgotten is executed alone once more.
const knownDocuments = 10_000

// NewOperationCache returns Answers that keep nothing yet; Close ends them.
func NewOperationCache(o OperationCacheOptions) (*OperationCache, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Accepted == nil {
		o.Accepted = func(context.Context) error { return nil }
	}
	if o.Observe == nil {
		o.Observe = func(CacheSource) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	onCaller := func(task func()) { task() } // whoever starts goroutines must be able to wait for them
	kept, err := otter.New(&otter.Options[answerKey, *answer]{
		MaximumWeight: o.MaxBytes,
		Weigher:       func(_ answerKey, a *answer) uint32 { return a.weight() },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[answerKey, *answer]) time.Duration {
			return max(1, time.Until(e.Value.expires))
		}),
		Executor: onCaller,
		Logger:   &otter.NoopLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("edge: make the memory for answers: %w", err)
	}
	queries, err := otter.New(&otter.Options[documentKey, struct{}]{MaximumSize: knownDocuments, Executor: onCaller, Logger: &otter.NoopLogger{}})
	if err != nil {
		return nil, fmt.Errorf("edge: make the memory for documents: %w", err)
	}
	encoder, err := newEncoder()
	if err != nil {
		return nil, err
	}
	return &OperationCache{opts: o, schema: sha256.Sum256([]byte(o.Schema)), kept: kept, queries: queries, encoder: encoder}, nil
}

// Close waits for what is under way, which ends with its clients, and frees the memory.
func (a *OperationCache) Close() {
	a.flights.Wait()
	a.kept.StopAllGoroutines()
	a.queries.StopAllGoroutines()
	a.kept.InvalidateAll()
}

// overtaken says that what depends on d was outdated for what is newer, of which somebody may have been told.
func (a *OperationCache) overtaken(d responsecache.Dependency) bool {
	return a.opts.Validity.Overtaken(d)
}

// before returns the transport that answers from what is kept, and else by t. persisted are
// the texts of automatic persisted queries: who sends one with its hash is answered from what
// is kept, too, and will send the hash alone.
func (a *OperationCache) before(t graphql.Transport, persisted documents[string]) graphql.Transport {
	return cachingTransport{a, t, persisted}
}

// cachingTransport is a transport whose answers are kept.
type cachingTransport struct {
	*OperationCache
	graphql.Transport
	persisted documents[string]
}

// Do answers the request.
func (k cachingTransport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	p, ok := parametersOf(ctx)
	if !ok {
		k.Transport.Do(w, r, exec) // which says what is wrong
		return
	}
	e := k.cacheRequest(ctx, p, r.Header, answerType(r))
	e.execute = func(ctx context.Context, w http.ResponseWriter) { k.Transport.Do(w, r.WithContext(ctx), exec) }
	if e.persist != "" {
		k.persisted.Add(ctx, e.hash, e.persist)
	}
	k.answer(e).write(w, r, k.encoder) //nolint:contextcheck // e has the request's
}

// answer answers from what is kept, by an execution under way, or by one of its own.
func (a *OperationCache) answer(e *cacheRequest) *answer {
	if e.noCache || e.bypass {
		return a.run(e.ctx, e)
	}
	if kept, ok := a.hit(e.ctx, e.key); ok {
		a.opts.Observe(AnswerHit)
		return kept
	}
	if _, known := a.queries.GetIfPresent(e.document); known {
		return a.share(e)
	}
	return a.run(e.ctx, e)
}

// hit is the kept answer, if it may be given.
func (a *OperationCache) hit(ctx context.Context, key answerKey) (*answer, bool) {
	found, ok := a.kept.GetIfPresent(key)
	if !ok || !a.valid(found) {
		return nil, false
	}
	if p := principal.FromContext(ctx); p.Name() != "" && p.Kind() != principal.Service && a.opts.Accepted(ctx) != nil {
		return nil, false // the execution will say why
	}
	return found, true
}

// valid says whether an answer may be given to anybody who asks now.
func (a *OperationCache) valid(made *answer) bool {
	return made.constant || a.opts.Validity.Valid(made.dependency)
}

// share answers by an execution that identical requests share. A request that joined gets the
// shared answer only if nothing it was made of was invalidated meanwhile. So no request gets
// data from before a change that precedes the request.
func (a *OperationCache) share(e *cacheRequest) *answer {
	made, joined, err := a.flights.Do(e.ctx, e.key, func(ctx context.Context) (*answer, error) { return a.run(ctx, e), nil })
	switch {
	case err != nil && e.ctx.Err() != nil:
		return cancelled(e.media)
	case err != nil:
		a.opts.Logger.ErrorContext(e.ctx, "an execution ended without an answer", "error", err)
		return errorAnswer(e.media, http.StatusInternalServerError, "internal error")
	case !joined:
		return made
	case !made.constant && !a.opts.Validity.Current(made.dependency):
		return a.run(e.ctx, e) // the response cache lets concurrent executions share their calls
	}
	a.opts.Observe(AnswerShared)
	return made
}

// run executes the request, and keeps the answer if it may be given again.
func (a *OperationCache) run(ctx context.Context, e *cacheRequest) *answer {
	wish := trail.ReadOptions{Refresh: e.noCache, Batches: trail.TraceModeOf(ctx) != trail.Untraced}
	if e.noCache {
		wish.RefreshID = responsecache.NewRefreshID()
	}
	t := trail.New(wish)
	made := a.record(trail.NewContext(ctx, t), e)
	if e.noCache {
		a.outdate(ctx, wish.RefreshID, t.Outdated())
	}
	query, spoiled := t.Outcome()
	if !query {
		return made
	}
	a.opts.Observe(AnswerExecuted)
	made.dependency = t.Dependency()
	made.constant = len(t.Reads()) == 0 && !spoiled
	if e.document != (documentKey{}) {
		a.queries.Set(e.document, struct{}{})
	}
	if made.status == http.StatusOK && !spoiled && !e.bypass && a.valid(made) {
		made.keepable()
		a.kept.Set(e.key, made)
	}
	return made
}

// outdateTimeout bounds how long an answer that was asked for anew waits until nobody is
// given an older one. Replicas that hang have lost their leases by then (responsecache).
const outdateTimeout = 1500 * time.Millisecond

// outdate sees to it that what was read for of is followed by nothing older, be it of
// another page of the same list or by another replica.
func (a *OperationCache) outdate(ctx context.Context, of responsecache.RefreshID, tags []string) {
	if len(tags) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, outdateTimeout)
	defer cancel()
	if err := a.opts.Validity.Outdate(ctx, of, tags...); err != nil {
		a.opts.Logger.WarnContext(ctx, "not all replicas are known to have heard that something was read anew", "error", err)
	}
}

// record executes and takes down what is answered. A panic is an answer, too: it may
// be on a goroutine that nobody else guards.
func (a *OperationCache) record(ctx context.Context, e *cacheRequest) (made *answer) {
	rec := &responseRecorder{header: make(http.Header)}
	defer func() {
		if v := recover(); v != nil {
			logPanic(ctx, a.opts.Logger, v)
			made = errorAnswer(e.media, http.StatusInternalServerError, "internal error")
		}
	}()
	e.execute(ctx, rec)
	return rec.answer()
}

// responseRecorder takes down a response.
type responseRecorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *responseRecorder) Header() http.Header { return r.header }

func (r *responseRecorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *responseRecorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *responseRecorder) answer() *answer {
	r.WriteHeader(http.StatusOK)
	return &answer{status: r.status, header: r.header, body: r.body.Bytes()}
}

// cancelled is the answer for a client that has gone.
func cancelled(media string) *answer { return errorAnswer(media, 499, "the request was cancelled") }

// errorAnswer is the answer of a request that has no result.
func errorAnswer(media string, status int, message string) *answer {
	rec := &responseRecorder{header: make(http.Header)}
	writeErrorAs(rec, media, status, fault.New(fault.Internal, "%s", message))
	return rec.answer()
}
