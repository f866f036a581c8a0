// Package audit records changes and their callers. Each executed root field of a mutation has a line after its outcome
// is known. Fields that create, delete, upload or execute also have one before anything is sent.
package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// WriteTimeout is how long a change waits for a sink that stalls. Then its line is lost and counted.
const WriteTimeout = 50 * time.Millisecond

// Sink takes lines; *logqueue.Queue implements it. It does not wait longer than Wait.
type Sink interface {
	Write(line []byte) (int, error)
	// WriteThrough returns when the line is written.
	WriteThrough(line []byte, wait time.Duration)
}

// Options are the parameters of a Log.
type Options struct {
	// Sink takes the lines; required.
	Sink Sink
	// Inputs are the input fields whose values lines have.
	Inputs Inputs
	// Hash returns a keyed hash of a secret; required.
	Hash func(text string) string
}

// Log is the audit log. A nil Log writes nothing. It is safe for concurrent use.
type Log struct {
	opts     Options
	users    *otter.Cache[string, user] // by name of the principal
	refusals refusals
}

// user is what is known of a session's or token's user.
type user struct{ id, name string }

// maxUsers bounds the users that are known.
const maxUsers = 10_000

// New returns a Log. Close ends it.
func New(o Options) *Log {
	l := &Log{opts: o, users: otter.Must(&otter.Options[string, user]{
		MaximumSize: maxUsers, Executor: func(task func()) { task() }, Logger: &otter.NoopLogger{},
	})}
	l.refusals.write = func(entry line) { l.write(entry) }
	return l
}

// Close writes the last refusals. The sink stays open.
func (l *Log) Close() {
	if l != nil {
		l.refusals.close()
	}
}

// RecordUser records the userid of a principal, as the console states it.
func (l *Log) RecordUser(p principal.Principal, id string) {
	if l == nil || id == "" || p.Name() == "" || p.Credential() == principal.Service {
		return
	}
	known, _ := l.users.GetIfPresent(p.Name())
	if known.id != id {
		known.id = id
		l.users.Set(p.Name(), known)
	}
}

// actorOf returns the actor of a principal. It holds no token.
func (l *Log) actorOf(p principal.Principal) actor {
	a := actor{Kind: p.Credential().String(), APIKey: p.Key(), Account: p.Account(), User: p.User()}
	if a.User == "" && (p.Credential() == principal.PassThrough || p.Credential() == principal.Session) {
		known, _ := l.users.GetIfPresent(p.Name())
		a.User, a.Username, a.Credential = known.id, known.name, l.opts.Hash(p.Name())
	}
	return a
}

// begin returns the line of a mutation's root field, or of one that was refused.
func (l *Log) begin(ctx context.Context, mutation string, s operation.Summary) line {
	entry := line{
		Log: "audit", ID: rand.Text(), Mutation: mutation, Actor: l.actorOf(principal.FromContext(ctx)),
		Operation: s.Name, Document: s.Document, RequestID: accesslog.RequestID(ctx),
	}
	if e := accesslog.FromContext(ctx); e != nil {
		entry.TraceID, entry.Via = e.TraceID(), e.Via()
		if address, agent := e.Client(); address != "" || agent != "" {
			entry.Client = &client{address, agent}
		}
	}
	return entry
}

// write queues a line.
func (l *Log) write(entry line) {
	entry.Time = time.Now().UTC()
	_, _ = l.opts.Sink.Write(entry.encode()) // it counts lines that it loses
}

// Change is a root field of a mutation that is executed. A nil Change records nothing. It is safe for concurrent use: a
// change with an idempotency key may outlive its request.
type Change struct {
	log   *Log
	begun time.Time
	state *operation.State
	calls int // of the operation before this field

	mu      sync.Mutex
	line    line
	sent    bool // the line of the phase sent is written, or not needed
	ended   bool
	refusal error
}

type contextKey struct{}

// FromContext returns the change in ctx, or nil.
func FromContext(ctx context.Context) *Change {
	c, _ := ctx.Value(contextKey{}).(*Change)
	return c
}

// Begin returns ctx with the change of the root field in it.
func (l *Log) Begin(ctx context.Context) (context.Context, *Change) {
	op, field := graphql.GetOperationContext(ctx), graphql.GetRootFieldContext(ctx).Field
	c := &Change{log: l, begun: time.Now(), state: operation.FromContext(ctx), line: l.begin(ctx, field.Name, operation.Describe(op))}
	c.calls = c.state.Calls()
	c.sent = !loggedBeforeCall(field.Name)
	c.line.Input, c.line.Targets = l.opts.Inputs.values(field, op.Variables)
	return context.WithValue(ctx, contextKey{}, c), c
}

// loggedBeforeCall reports whether a mutation has a line before it is sent. Without one, a crash could hide that it was
// made.
func loggedBeforeCall(mutation string) bool {
	for _, prefix := range []string{"execute", "create", "delete", "upload", "completePackageUpload"} {
		if strings.HasPrefix(mutation, prefix) {
			return true
		}
	}
	return false
}

// SetScope records the scope of the change.
func (c *Change) SetScope(sc scope.Scope) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line.Scope = &changeScope{sc.CompanyID, sc.DepartmentID}
}

// SetIdempotencyKey records the idempotency key of the change, and whether an earlier call was answered again.
func (c *Change) SetIdempotencyKey(key string, replayed bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line.Idempotency = &idempotency{c.log.opts.Hash(key), replayed}
}

// Sending writes the line of the phase sent, once, before the console gets the change.
func (c *Change) Sending() {
	if c == nil {
		return
	}
	c.mu.Lock()
	if c.sent {
		c.mu.Unlock()
		return
	}
	c.sent = true
	entry := c.line
	entry.Phase, entry.Time = phaseSent, time.Now().UTC()
	c.mu.Unlock()
	c.log.opts.Sink.WriteThrough(entry.encode(), WriteTimeout)
}

// Refuse records that the change is not made, for a reason that is known before anything is sent. It returns err.
func (c *Change) Refuse(err error) error {
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refusal = err
	}
	return err
}

// SignedIn records the session that the change began.
func (c *Change) SignedIn(session principal.Principal, username string) {
	if c == nil {
		return
	}
	c.log.users.Set(session.Name(), user{name: username})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line.Actor = c.log.actorOf(session)
}

// End writes the line of the phase done. created are the ids of what was created; err is the error of the change.
func (c *Change) End(err error, created ...string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	entry := c.line
	entry.Phase, entry.Created, entry.Outcome = phaseDone, created, fault.Done
	if err != nil {
		entry.Outcome, entry.Code = fault.OutcomeOf(err), fault.CodeOf(err)
		if entry.Code == fault.Internal && errors.Is(err, context.Canceled) {
			entry.Code = "" // the client has left, and nothing is wrong
		}
	}
	c.mu.Unlock()
	entry.took(time.Since(c.begun), c.state.Calls()-c.calls)
	c.log.write(entry)
}

// Close writes a refusal, unless End was called.
func (c *Change) Close() {
	c.mu.Lock()
	ended, refusal, entry := c.ended, c.refusal, c.line
	c.ended = true
	c.mu.Unlock()
	if ended {
		return
	}
	code := fault.BadUserInput // gqlgen could not decode its arguments
	if refusal != nil {
		code = fault.CodeOf(refusal)
	}
	c.log.refuse(entry, code)
}
