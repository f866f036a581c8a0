// Package mutation carries out the graph's mutations: it checks their input,
// asks the console, once per idempotency key, and hands back the payload.
package mutation

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// Console is what the mutations ask of the console; *consoleclient.Client is one.
type Console interface {
	packageConsole
	queueConsole
	workflowConsole
	workflowLayoutConsole
}

// Once lets the work behind an idempotency key be done once; *idempotency.Keeper does.
type Once interface {
	Do(ctx context.Context, key idempotency.Key, input []byte, run idempotency.Run) ([]byte, error)
}

// Tokens says whether the principal in ctx is still accepted, as far as the
// gateway can tell; *tokencache.Cache does.
type Tokens interface {
	Token(ctx context.Context) (string, error)
}

// Service carries out mutations. It is safe for concurrent use.
type Service struct {
	console Console
	once    Once
	tokens  Tokens
	name    func(principal.Principal) string
	direct  int64
}

// New returns a writer to console that keeps idempotency keys in once, each for the
// principal that name names beyond this gateway: whoever shares what once keeps may know
// another by the same Name. Files of up to direct bytes are sent straight to the console,
// larger ones through its upload channel; the document bounds the former to 200 MiB.
func New(console Console, once Once, tokens Tokens, name func(principal.Principal) string, direct int64) *Service {
	return &Service{console, once, tokens, name, direct}
}

// mutate finds the scope of the request, makes the change unless the operation
// has bad input, and looks ahead over what the payload selects.
func mutate[P any](ctx context.Context, do func(sc scope.Scope) (*P, error)) (*P, error) {
	l := loader.From(ctx)
	if err := l.Refusal(); err != nil {
		return nil, fault.WithOutcome(err, fault.NotSent)
	}
	sc, err := l.RequestScope()()
	if err != nil {
		return nil, fault.WithOutcome(err, fault.NotSent)
	}
	payload, err := do(sc)
	if err != nil {
		return nil, err
	}
	l.PlanPayload(ctx, payload)
	return payload, nil
}

// idempotent makes a call of the console, once per idempotency key where there is one.
func idempotent[I, T any](ctx context.Context, w *Service, sc scope.Scope, key *string, input I, call func(context.Context) (T, error)) (T, error) {
	caller := w.name(principal.FromContext(ctx))
	if key == nil || caller == "" {
		return call(ctx) // which refuses a caller who showed nothing
	}
	var none T
	if _, err := w.tokens.Token(ctx); err != nil {
		return none, fault.WithOutcome(err, fault.NotSent) // what is kept under the key is not for who is no longer accepted
	}
	asked, err := json.Marshal(scoped[I]{sc, input})
	if err != nil {
		return none, fault.WithOutcome(err, fault.NotSent)
	}
	k := idempotency.Key{
		Principal: caller,
		Operation: graphql.GetFieldContext(ctx).Field.Name,
		Key:       *key,
	}
	answer, err := w.once.Do(ctx, k, asked, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		v, err := call(ctx)
		if err != nil {
			return nil, recorded(err), err
		}
		raw, err := json.Marshal(v)
		return raw, idempotency.Completed, fault.WithOutcome(err, fault.Done)
	})
	if err != nil {
		return none, err
	}
	var v T
	if err := json.Unmarshal(answer, &v); err != nil {
		return none, fault.WithOutcome(err, fault.Done)
	}
	return v, nil
}

// errNoDetails says that a change was made and that the console's answer does not describe it.
func errNoDetails() error {
	return &fault.Error{
		Code:    fault.UpstreamInvalidResponse,
		Message: "done: the console made the change, and its answer says nothing about it",
		Outcome: fault.Done,
	}
}

// recorded is what an idempotency key remembers of a call that failed: it is free again only where it is certain that the
// console did nothing.
func recorded(err error) idempotency.Outcome {
	switch fault.OutcomeOf(err) {
	case fault.NotSent, fault.Refused:
		return idempotency.NotStarted
	default:
		return idempotency.Unknown
	}
}
