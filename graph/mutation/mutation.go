// Package mutation executes the graph's mutations. It checks their input, calls the console
// once per idempotency key, and returns the payload.
package mutation

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// Console contains the console calls of mutations; *consoleclient.Client implements it.
type Console interface {
	packageConsole
	queueConsole
	workflowConsole
	workflowLayoutConsole
}

// Idempotency executes a call once per idempotency key; *idempotency.Executor implements it.
type Idempotency interface {
	Do(ctx context.Context, key idempotency.Key, input []byte, run idempotency.Run) ([]byte, error)
}

// Tokens reports whether the principal in ctx is still accepted, as far as the gateway knows;
// *tokencache.Cache implements it.
type Tokens interface {
	Token(ctx context.Context) (string, error)
}

// Service executes mutations. It is safe for concurrent use.
type Service struct {
	console           Console
	idempotency       Idempotency
	tokens            Tokens
	name              func(principal.Principal) string
	directUploadBytes int64
}

// New returns a Service for console. idempotency stores the keys of calls. name returns a principal's
// name that all gateways sharing that store agree on.
//
// Files of up to directUploadBytes are sent straight to the console, larger ones through its upload
// channel. The console's document limits direct uploads to 200 MiB.
func New(console Console, idempotency Idempotency, tokens Tokens, name func(principal.Principal) string, directUploadBytes int64) *Service {
	return &Service{console, idempotency, tokens, name, directUploadBytes}
}

// mutate finds the request's scope, makes the change unless the operation has invalid input,
// and starts look-ahead for the payload. The audit log gets the outcome.
func mutate[P any](ctx context.Context, do func(sc scope.Scope) (*P, error)) (*P, error) {
	l, change := loader.FromContext(ctx), audit.FromContext(ctx)
	if err := l.Refusal(); err != nil {
		return nil, change.Refuse(fault.WithOutcome(err, fault.NotSent))
	}
	sc, err := l.RequestScope()()
	if err != nil {
		return nil, change.Refuse(fault.WithOutcome(err, fault.NotSent))
	}
	change.SetScope(sc)
	defer change.End(errPanicked()) // only the first End counts
	payload, err := do(sc)
	if err != nil {
		change.End(err)
		return nil, err
	}
	var created []string
	if c, ok := any(payload).(creation); ok {
		created = c.created()
	}
	change.End(nil, created...)
	l.LookAheadPayload(ctx, payload)
	return payload, nil
}

// creation is a payload of a mutation that creates something.
type creation interface {
	// created returns the ids of new entities, uploads and jobs, for the audit log.
	created() []string
}

// errPanicked returns the error of a change that panicked, for the audit log.
func errPanicked() error {
	return &fault.Error{Code: fault.Internal, Message: "the mutation panicked", Outcome: fault.Unknown}
}

// idempotent makes a console call, once per idempotency key if there is one. API keys of a service account share the
// idempotency keys of a department. So an edit of the scopes of an API key repeats no call.
func idempotent[I, T any](ctx context.Context, s *Service, sc scope.Scope, key *string, input I, call func(context.Context) (T, error)) (T, error) {
	p := principal.FromContext(ctx)
	if key == nil || p.Name() == "" {
		return call(ctx) // the console refuses callers without credentials
	}
	var none T
	if err := s.permit(ctx, sc); err != nil {
		return none, fault.WithOutcome(err, fault.NotSent) // a principal that is no longer accepted must not get the recorded result
	}
	encodedInput, err := json.Marshal(scoped[I]{sc, input})
	if err != nil {
		return none, fault.WithOutcome(err, fault.NotSent)
	}
	k := idempotency.Key{
		Principal: s.name(p),
		Operation: graphql.GetFieldContext(ctx).Field.Name,
		Key:       *key,
	}
	var ran atomic.Bool // the run may outlive this call
	run := func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		ran.Store(true)
		v, err := call(ctx)
		if err != nil {
			return nil, recorded(err), err
		}
		raw, err := json.Marshal(v)
		return raw, idempotency.Completed, fault.WithOutcome(err, fault.Done)
	}
	var answer []byte
	if p.Credential() == principal.Service {
		answer, err = s.doInDepartment(ctx, k, s.name(p.WithoutLimits()), encodedInput, sc, run, &ran)
	} else {
		answer, err = s.idempotency.Do(ctx, k, encodedInput, run)
	}
	audit.FromContext(ctx).SetIdempotencyKey(*key, err == nil && !ran.Load())
	if err != nil {
		return none, err
	}
	var v T
	if err := json.Unmarshal(answer, &v); err != nil {
		return none, fault.WithOutcome(err, fault.Done)
	}
	return v, nil
}

// permit reports whether the principal in ctx is still accepted and may still use the scope.
func (s *Service) permit(ctx context.Context, sc scope.Scope) error {
	if _, err := s.tokens.Token(ctx); err != nil {
		return err //nolint:wrapcheck // of this gateway
	}
	return principal.FromContext(ctx).Limits().CheckScope(sc) //nolint:wrapcheck // of this gateway
}

// doInDepartment uses the record of an account's idempotency key in a department. The record of key depends on the scopes
// of the API key. It is for the release before this one, which knows no other, and has no large result. ran tells whether
// run has begun. If it has not, the record of the department holds the outcome, and the other one becomes free.
func (s *Service) doInDepartment(ctx context.Context, key idempotency.Key, account string, input []byte, sc scope.Scope, run idempotency.Run, ran *atomic.Bool) ([]byte, error) {
	shared := key
	shared.Principal = account + "\n" + sc.CompanyID + "\n" + sc.DepartmentID
	answer, tooLarge := s.idempotency.Do(ctx, key, input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		answer, err := s.idempotency.Do(ctx, shared, input, run)
		switch {
		case !ran.Load():
			return answer, idempotency.NotStarted, err
		case err != nil:
			return nil, recorded(err), err
		case len(answer) > idempotency.MaxPlain:
			return answer, idempotency.CompletedElsewhere, nil
		}
		return answer, idempotency.Completed, nil
	})
	if !errors.Is(tooLarge, idempotency.ErrTooLarge) {
		return answer, tooLarge //nolint:wrapcheck // of this gateway
	}
	answer, err := s.idempotency.Do(ctx, shared, input, func(context.Context) ([]byte, idempotency.Outcome, error) {
		return nil, idempotency.NotStarted, tooLarge // the record of the department has expired
	})
	if err != nil {
		return nil, tooLarge //nolint:wrapcheck // of this gateway: the change was made, whatever the record of the department says
	}
	return answer, nil
}

// errNoAnswer reports that a change was made, and that the console's answer does not describe
// it.
func errNoAnswer() error {
	return &fault.Error{
		Code:    fault.UpstreamInvalidResponse,
		Message: "done: the console made the change, and its answer says nothing about it",
		Outcome: fault.Done,
	}
}

// recorded returns the error that an idempotency key records for a failed call. The key
// becomes free only if the console certainly did nothing.
func recorded(err error) idempotency.Outcome {
	switch fault.OutcomeOf(err) {
	case fault.NotSent, fault.Refused:
		return idempotency.NotStarted
	default:
		return idempotency.Unknown
	}
}
