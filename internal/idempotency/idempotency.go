// Package idempotency prevents executions from starting twice. Mutations that create or execute
// take an idempotencyKey (docs/errors.md). Within the retention, the same key with the same input
// returns the first call's result and starts nothing. The same key with another input is a
// CONFLICT. While the first call is under way, a second one waits.
//
// Before a call runs, it claims its record in a store. Nothing runs without a claim. A claimed
// record is given to another claimant only if its owner says that nothing was started. The
// owner renews a lease on the record while it runs. If the lease runs out, because the replica
// died or lost the store, the record does not become free. It becomes unknown, and later calls
// get that as an error instead of starting again. So a lease that runs out too early (a slow
// machine, a clock that jumped) never causes a second start. The owner's outcome still
// replaces an unknown that came from its lease.
//
// The promise is as durable as the store. Redis must not evict (maxmemory-policy noeviction)
// and should persist. If it comes back empty, a call under way restores its record with its
// next renewal, and finished ones are forgotten.
package idempotency

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// DefaultRetention is the default of Options.Retention.
	DefaultRetention = 24 * time.Hour
	// DefaultRunTimeout is the default of Options.RunTimeout.
	DefaultRunTimeout = 5 * time.Minute
)

// The limits of a call.
const (
	// maxKey is the greatest length of an idempotency key, in characters (Unicode code points).
	maxKey = 255
	// MaxResult is the greatest result that is kept, in bytes. It takes at most maxPacked in the store. Callers that wait
	// in the same process get a larger one, and later ones get ErrTooLarge.
	MaxResult = 1 << 20
)

// The causes of errors of a call that started nothing.
var (
	// ErrUnknown: the first call may have taken effect (CONFLICT).
	ErrUnknown = errors.New("the outcome of the first call with this idempotencyKey is unknown: check before retrying with a new key")
	// ErrOtherInput: the key was used with another input (CONFLICT).
	ErrOtherInput = errors.New("this idempotencyKey was used with another input")
	// ErrTooLarge: the first call succeeded, and its result was too large to keep
	// (UPSTREAM_INVALID_RESPONSE, the code of answers that are too large).
	ErrTooLarge = errors.New("the first call with this idempotencyKey succeeded and is not repeated, but its result is too large to be returned again")
)

// Key names one call. The same Key of another principal or operation is another call.
type Key struct {
	// Principal and Operation are the caller's identity and the mutation's name. Neither may
	// be empty.
	Principal, Operation string
	// Key is the caller's idempotencyKey: 1 to maxKey characters in UTF-8, none of them a control
	// character.
	Key string
}

// validate fails with BAD_USER_INPUT if the caller's key is wrong.
func (k Key) validate() error {
	switch {
	case k.Principal == "" || k.Operation == "":
		return fault.New(fault.Internal, "an idempotency key needs a principal and an operation")
	default:
		return CheckKey(k.Key)
	}
}

// CheckKey fails with BAD_USER_INPUT for an invalid Key.Key.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fault.BadInput("idempotencyKey", "is empty")
	case !utf8.ValidString(key):
		return fault.BadInput("idempotencyKey", "is not UTF-8")
	case utf8.RuneCountInString(key) > maxKey:
		return fault.BadInput("idempotencyKey", "has %d characters, more than %d", utf8.RuneCountInString(key), maxKey)
	case strings.ContainsFunc(key, unicode.IsControl):
		return fault.BadInput("idempotencyKey", "holds a control character")
	default:
		return nil
	}
}

// id is the name of the key's record: a hash, so that a store shows neither principals nor
// keys. Each field is hashed with its length, so that no two keys look alike.
func (k Key) id() string {
	h := sha256.New()
	for _, field := range []string{k.Principal, k.Operation, k.Key} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// digest is the hash of an input in its record. It depends on the record, so that equal inputs
// of two principals differ.
func digest(id string, input []byte) string {
	h := sha256.New()
	h.Write([]byte(id))
	h.Write(input)
	return hex.EncodeToString(h.Sum(nil))
}

// Outcome is the outcome of one run. The zero value is the safe one.
type Outcome int

// The values of Outcome.
const (
	// Unknown: it may have taken effect. Later calls get ErrUnknown.
	Unknown Outcome = iota
	// NotStarted: it certainly had no effect. The record is forgotten, and a retry may run.
	NotStarted
	// Completed: it took effect, and the result is kept. Beside an error there is no result,
	// so that it counts as Unknown.
	Completed
	// CompletedElsewhere: it took effect, and the result is kept under another key. Later calls get ErrTooLarge.
	CompletedElsewhere
)

// Run executes the call. Its context outlives the caller's. It ends at Options.RunTimeout, or
// when Close gives up.
type Run func(ctx context.Context) (result []byte, outcome Outcome, err error)

// Options are the parameters of an Executor.
type Options struct {
	// Retention is how long a record is kept after its call began, was last renewed, or ended;
	// default 24 h, at least two leases.
	Retention time.Duration
	// Lease is how long after its owner's last renewal a call under way counts as unknown;
	// default 10 s, at least 10 ms. It is renewed three times in that time. It is also how
	// long storing a result is tried.
	Lease time.Duration
	// RunTimeout ends the context of a run; default 5 min. A run that does not return counts
	// as unknown a Lease later.
	RunTimeout time.Duration
	// Logger receives failures of the store, without keys and inputs; default: discarded.
	Logger *slog.Logger
}

// withDefaults returns the options with defaults filled in.
func (o Options) withDefaults() Options {
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.Lease <= 0 {
		o.Lease = 10 * time.Second
	}
	o.Lease = max(o.Lease, 10*time.Millisecond)
	o.Retention = max(o.Retention, 2*o.Lease)
	if o.RunTimeout <= 0 {
		o.RunTimeout = DefaultRunTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Executor runs calls at most once. It is safe for concurrent use. Any number of executors, in
// any number of processes, may share a store.
type Executor struct {
	store Store
	opts  Options
	tasks sync.WaitGroup // running calls of Do and runs that outlive them
	// stopping ends when Close gives up.
	stopping context.Context //nolint:containedctx // the Executor's own lifetime, not that of a call
	stop     context.CancelFunc
	pause    backoff.Pause // of claims

	mu       sync.Mutex
	closed   bool
	runs     map[runKey]*sharedRun
	releases []Record // to be released by one goroutine
}

// New returns an Executor. Close ends it.
func New(store Store, o Options) *Executor {
	stopping, stop := context.WithCancel(context.Background())
	return &Executor{
		store:    store,
		opts:     o.withDefaults(),
		stopping: stopping,
		stop:     stop,
		runs:     make(map[runKey]*sharedRun),
	}
}

// Do returns the result of the one run for key and input. It is this call's run if it is the
// first. The run goes on when ctx ends, so that its outcome is recorded. It does not begin
// after ctx has ended. The caller whose run failed gets its error as it is.
//
// Do fails with CONFLICT (ErrUnknown, ErrOtherInput), with UPSTREAM_INVALID_RESPONSE (ErrTooLarge),
// and with BAD_USER_INPUT for a wrong key. It fails with UPSTREAM_UNAVAILABLE if the store does not
// answer (this call ran nothing), or after Close. It fails with RATE_LIMITED if the store is full,
// with INTERNAL if the run panicked, and with ctx's error.
func (e *Executor) Do(ctx context.Context, key Key, input []byte, run Run) ([]byte, error) {
	if err := key.validate(); err != nil {
		return nil, err
	}
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.tasks.Done()
	id := key.id()
	at := runKey{id: id, input: digest(id, input)}
	for ctx.Err() == nil {
		shared, first := e.join(at)
		if first {
			e.claimRecord(ctx, shared, run)
		}
		got, ok := shared.wait(ctx, first)
		if ok && !got.retry {
			return bytes.Clone(got.result), got.err
		}
	}
	return nil, callerGone(ctx.Err())
}

// callerGone is the error for a caller whose context ended before its answer came.
func callerGone(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &fault.Error{Code: fault.UpstreamTimeout, Message: "no answer in time: ask again with the same idempotencyKey", Outcome: fault.Unknown, Err: err}
	}
	return fmt.Errorf("idempotency: wait for the first call: %w", err)
}

// enter counts a call, unless the Executor is closed.
func (e *Executor) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return shuttingDown(fault.NotSent)
	}
	e.tasks.Add(1)
	return nil
}

// shuttingDown is the error for calls after Close, and for calls that wait for another
// replica's run.
func shuttingDown(outcome fault.Outcome) error {
	return &fault.Error{Code: fault.UpstreamUnavailable, Message: "the gateway is shutting down: ask again with the same idempotencyKey", Outcome: outcome}
}

// idleTimeout is how long Close waits for the signal that no call is running.
const idleTimeout = 50 * time.Millisecond

// Close refuses further calls. It waits for those under way until their outcomes are recorded.
// If ctx ends first, it cancels the remaining runs and fails with ctx's error. An outcome that
// is not recorded becomes unknown by its lease. Close does not repeat failed releases.
func (e *Executor) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		e.tasks.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		select {
		case <-idle:
			return nil // a context that had ended before is no failure
		case <-time.After(idleTimeout):
		}
		e.stop()
		return fmt.Errorf("idempotency: calls are still under way: %w", ctx.Err())
	}
}

// newOwner returns a fencing token.
func newOwner() string {
	return rand.Text()
}
