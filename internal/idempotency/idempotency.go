// Package idempotency keeps executions from starting twice. Inputs of the graph
// that create or execute take an idempotencyKey (GraphQL contract, section
// Mutations): within the retention, the same key with the same input answers
// with the first call's result and starts nothing, the same key with another
// input is a CONFLICT, and while the first call is under way a second waits.
//
// Before a call runs, it claims its record in a store; nothing runs without a
// claim, and a claimed record is never given to anyone else unless its owner
// says that nothing was started. The owner renews a lease on the record while it
// runs. Where the lease runs out, because its replica died or lost the store,
// the record does not become free: it becomes unknown, and later calls are told
// so instead of starting the same thing again. A lease that runs out too early
// (a slow machine, a clock that jumped) therefore costs an honest answer, never
// a second start. The owner's own word still replaces an unknown that came from
// its lease: it alone knows the truth.
//
// The promise is as durable as the store. Redis must not evict (maxmemory-policy
// noeviction) and should persist; where it comes back empty, a call under way
// restores its record with its next renewal, and finished ones are forgotten.
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

	"github.com/consoleql/consoleql/internal/fault"
)

// The bounds of a call.
const (
	// MaxKey is how many bytes an idempotency key may have.
	MaxKey = 255
	// MaxResult is how many bytes of result are kept. A larger one goes to the
	// callers who wait in the same process; later ones get ErrTooLarge.
	MaxResult = 1 << 20
)

// What a call that started nothing is told, as the cause of an error with a code.
var (
	// ErrUnknown: the first call may have done its work (CONFLICT).
	ErrUnknown = errors.New("the outcome of the first call with this idempotencyKey is unknown: check before retrying with a new key")
	// ErrOtherInput: the key belongs to another input (CONFLICT).
	ErrOtherInput = errors.New("this idempotencyKey was used with another input")
	// ErrTooLarge: the first call succeeded, with a result that was too large to
	// keep (UPSTREAM_INVALID_RESPONSE, the code of answers that are too large).
	ErrTooLarge = errors.New("the first call with this idempotencyKey succeeded and is not repeated, but its result is too large to be told again")
)

// Key names one call. The same Key of another principal or operation is another.
type Key struct {
	// Principal and Operation are the caller's identity and the mutation's name;
	// neither may be empty.
	Principal, Operation string
	// Key is the caller's idempotencyKey: 1 to MaxKey bytes of UTF-8 without
	// control characters.
	Key string
}

// validate fails with BAD_USER_INPUT for a key that a caller got wrong.
func (k Key) validate() error {
	switch {
	case k.Principal == "" || k.Operation == "":
		return fault.New(fault.Internal, "an idempotency key needs a principal and an operation")
	default:
		return CheckKey(k.Key)
	}
}

// CheckKey fails with BAD_USER_INPUT for what is no Key.Key.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fault.BadInput("idempotencyKey", "is empty")
	case len(key) > MaxKey:
		return fault.BadInput("idempotencyKey", "has %d bytes, more than %d", len(key), MaxKey)
	case !utf8.ValidString(key):
		return fault.BadInput("idempotencyKey", "is not UTF-8")
	case strings.ContainsFunc(key, unicode.IsControl):
		return fault.BadInput("idempotencyKey", "holds a control character")
	default:
		return nil
	}
}

// id is the name of the key's record: a hash, so that a store shows neither
// principals nor keys; each field with its length, so that none runs into the next.
func (k Key) id() string {
	h := sha256.New()
	for _, field := range []string{k.Principal, k.Operation, k.Key} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// digest is what a record holds of an input. It depends on the record, so that
// equal inputs of two principals do not look alike.
func digest(id string, input []byte) string {
	h := sha256.New()
	h.Write([]byte(id))
	h.Write(input)
	return hex.EncodeToString(h.Sum(nil))
}

// Outcome is what became of one run. The zero value is the cautious one.
type Outcome int

// The outcomes.
const (
	// Unknown: it may have happened. Later calls are told so.
	Unknown Outcome = iota
	// NotStarted: it is certain that nothing happened. The record is forgotten and
	// a retry may run.
	NotStarted
	// Completed: it happened, and the result is to be kept. With an error there is
	// no result to keep, so that it counts as Unknown.
	Completed
)

// Run does the work. Its context outlives the caller's and ends at
// Options.RunTimeout, or when Close gives up.
type Run func(ctx context.Context) (result []byte, outcome Outcome, err error)

// Options are what a Keeper is made of.
type Options struct {
	// Retention is how long a record is kept after its call began, was last
	// renewed, or ended; default 24 h.
	Retention time.Duration
	// Lease is how long after its owner's last sign of life a call under way
	// counts as unknown, and how long a result is tried to be stored; it is renewed
	// three times in that time; default 10 s, at least 10 ms.
	Lease time.Duration
	// RunTimeout ends the context of a run, whoever still waits for it; a run that
	// does not return counts as unknown a Lease later; default 5 min.
	RunTimeout time.Duration
	// Logger is told of trouble with the store, never of a key or an input;
	// default: discarded.
	Logger *slog.Logger
}

// withDefaults returns the options in force.
func (o Options) withDefaults() Options {
	if o.Retention <= 0 {
		o.Retention = 24 * time.Hour
	}
	if o.Lease <= 0 {
		o.Lease = 10 * time.Second
	}
	o.Lease = max(o.Lease, 10*time.Millisecond)
	if o.RunTimeout <= 0 {
		o.RunTimeout = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Executor runs calls at most once. It is safe for concurrent use; any number of
// them, in any number of processes, may share a store.
type Executor struct {
	store Store
	opts  Options
	tasks sync.WaitGroup // calls of Do, and what outlives them
	// stopping ends when Close no longer waits.
	stopping context.Context //nolint:containedctx // the Keeper's own lifetime, not that of a call
	stop     context.CancelFunc

	mu       sync.Mutex
	closed   bool
	flights  map[flightKey]*flight
	releases int // releases under way
}

// New returns a Keeper. Close ends it.
func New(store Store, o Options) *Executor {
	stopping, stop := context.WithCancel(context.Background())
	return &Executor{
		store:    store,
		opts:     o.withDefaults(),
		stopping: stopping,
		stop:     stop,
		flights:  make(map[flightKey]*flight),
	}
}

// Do answers with the result of the one run that key and input stand for, which
// is this call's own run if it is the first. The run goes on when ctx ends, so
// that its outcome is recorded; it does not begin once ctx has ended. A caller
// whose run failed gets its error as it is.
//
// It fails with CONFLICT (ErrUnknown, ErrOtherInput), with
// UPSTREAM_INVALID_RESPONSE (ErrTooLarge), with BAD_USER_INPUT for a bad key,
// with UPSTREAM_UNAVAILABLE where the store cannot be asked (nothing was run by
// this call) or after Close, with RATE_LIMITED where the store is full, with
// INTERNAL where the run panicked, and with ctx's error.
func (k *Executor) Do(ctx context.Context, key Key, input []byte, run Run) ([]byte, error) {
	if err := key.validate(); err != nil {
		return nil, err
	}
	if err := k.enter(); err != nil {
		return nil, err
	}
	defer k.tasks.Done()
	id := key.id()
	at := flightKey{id: id, input: digest(id, input)}
	for ctx.Err() == nil {
		f, first := k.join(at)
		if first {
			k.claimRecord(ctx, f, run)
		}
		got, ok := f.wait(ctx, first)
		if ok && !got.again {
			return bytes.Clone(got.result), got.err
		}
	}
	return nil, callerGone(ctx.Err())
}

// callerGone is what a caller is told whose context ended before its answer came.
func callerGone(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &fault.Error{Code: fault.UpstreamTimeout, Message: "no answer in time: ask again with the same idempotencyKey", Outcome: fault.Unknown, Err: err}
	}
	return fmt.Errorf("idempotency: wait for the first call: %w", err)
}

// enter counts a call in, unless the Keeper is closed.
func (k *Executor) enter() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return shuttingDown(fault.NotSent)
	}
	k.tasks.Add(1)
	return nil
}

// shuttingDown is the answer to calls that come too late, or wait for another replica's call.
func shuttingDown(outcome fault.Outcome) error {
	return &fault.Error{Code: fault.UpstreamUnavailable, Message: "the gateway is shutting down: ask again with the same idempotencyKey", Outcome: outcome}
}

// idleTimeout is how long it may take to notice that no call is under way.
const idleTimeout = 50 * time.Millisecond

// Close refuses further calls and waits for those under way, recording included.
// When ctx ends first, it cancels the runs that are left and fails with ctx's
// error; what does not record its outcome any more becomes unknown by its lease.
func (k *Executor) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		k.tasks.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		select {
		case <-idle:
			return nil // a context that had ended before is no reason
		case <-time.After(idleTimeout):
		}
		k.stop()
		return fmt.Errorf("idempotency: calls are still under way: %w", ctx.Err())
	}
}

// newOwner returns a fencing token: nobody else writes under it.
func newOwner() string {
	return rand.Text()
}
