package loader

import (
	"cmp"
	"context"
	"errors"
	"maps"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
)

// badInput is what is wrong with the arguments of any field in the selection on
// typ: the console is asked nothing for an operation of which a part is bad.
func (l *Loaders) badInput(typ string, s Selection, place string) error {
	known := l.engine.relations[typ]
	for _, f := range s.Fields(typ) {
		e, ok := known[f.Name]
		if !ok {
			continue
		}
		below := s.Below(f)
		if e.Check != nil {
			if err := e.Check(FieldCall{Field: f, Selection: below}); err != nil {
				return errorElsewhere(err, f, place+f.Alias)
			}
		}
		if err := l.badInput(e.To, below, place+f.Alias+"."); err != nil {
			return err
		}
	}
	return nil
}

// errorElsewhere returns the error of fields whose own arguments are good, while those of another field are not.
func errorElsewhere(err error, field graphql.CollectedField, place string) error {
	told := &fault.Error{Code: fault.BadUserInput, Message: err.Error(), Err: err}
	var unread *gqlerror.Error // gqlgen could not read an argument; its path leads to that from the root, where look-ahead reads it
	if errors.As(err, &unread) {
		told.Message, told.Argument, told.Err = unread.Message, fault.ArgumentAt(unread.Path), unread.Err
	}
	var bad *fault.Error
	if errors.As(err, &bad) {
		told.Message, told.Argument = bad.Message, cmp.Or(bad.Argument, told.Argument)
	}
	told.Message += " (at " + place + "; nothing was asked)"
	return &badArgumentError{told, field.Position}
}

// badArgumentError is what is wrong with an argument, and the field that has it.
type badArgumentError struct {
	told *fault.Error
	at   *ast.Position
}

// Error returns the message.
func (e *badArgumentError) Error() string { return e.told.Error() }

// Unwrap returns the error that reaches callers.
func (e *badArgumentError) Unwrap() error { return e.told }

// refuse keeps why the operation is not executed.
func (l *Loaders) refuse(err error) {
	if l.refusal == nil {
		l.refusal = err
	}
	l.refusals = append(l.refusals, err)
}

// requestErrors are the errors of an operation that was refused for its arguments before
// anything was executed: it has no data, and they have no path (GraphQL specification,
// section 7.1.2). extensions are those of each beside code and argument.
func (l *Loaders) requestErrors(extensions map[string]any) gqlerror.List {
	list := make(gqlerror.List, 0, len(l.refusals))
	for _, err := range l.refusals {
		told := &gqlerror.Error{Message: err.Error(), Extensions: maps.Clone(extensions)}
		told.Extensions["code"] = fault.CodeOf(err)
		var bad *badArgumentError
		if errors.As(err, &bad) {
			told.Extensions["argument"] = bad.told.Argument
			if bad.at != nil {
				told.Locations = []gqlerror.Location{{Line: bad.at.Line, Column: bad.at.Column}}
			}
		}
		list = append(list, told)
	}
	return list
}

// CheckSelection refuses a subscription of whose answer a field has bad arguments.
func (l *Loaders) CheckSelection(ctx context.Context, f graphql.CollectedField) {
	l.refusal = l.badSelection(ctx, f)
}

// badSelection is what is wrong with the arguments of any field below a mutation or
// a subscription.
func (l *Loaders) badSelection(ctx context.Context, f graphql.CollectedField) error {
	below := Selection{op: graphql.GetOperationContext(ctx), set: f.Selections}
	return l.badInput(f.Definition.Type.Name(), below, f.Alias+".")
}

// checkMutations looks, once, at the arguments of all fields of a mutation before
// the first of them changes anything. With one of them bad, none is carried out.
func (l *Loaders) checkMutations(ctx context.Context, check CheckInput) {
	l.plan.Do(func() {
		op := graphql.GetOperationContext(ctx)
		l.badInputs = make(map[string]error)
		fields := (Selection{op, op.Operation.SelectionSet}).Fields("Mutation")
		l.writes = len(fields)
		l.refusal = l.calls.Reserve(l.writes) // each changes something by a call, which is counted with what the payloads read
		for _, f := range fields {
			err := check(ctx, f.Name, f.ArgumentMap(op.Variables))
			if err != nil {
				l.badInputs[f.Alias] = err
				err = errorElsewhere(err, f, f.Alias)
			} else {
				err = l.badSelection(ctx, f)
			}
			if err != nil {
				l.refuse(err)
			}
		}
	})
}

// refusalOf is why the field of a mutation with that alias may not be carried
// out: its own input before any other's.
func (l *Loaders) refusalOf(alias string) error {
	if own := l.badInputs[alias]; own != nil {
		return own
	}
	return l.refusal
}

// Refusal is why the operation may not ask the console anything; nil if it may.
func (l *Loaders) Refusal() error { return l.refusal }
