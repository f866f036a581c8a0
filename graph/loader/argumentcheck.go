package loader

import (
	"cmp"
	"context"
	"errors"
	"maps"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/fault"
)

// checkArguments returns the error of the first bad argument in a selection on typ. Nothing is read for an operation with
// a bad argument.
func (l *Loaders) checkArguments(typ string, s selection.Set, path string) error {
	for _, of := range objectTypes(typ) {
		if err := l.checkArgumentsOf(of, s, path); err != nil {
			return err
		}
	}
	return nil
}

// checkArgumentsOf is checkArguments for an object type.
func (l *Loaders) checkArgumentsOf(typ string, s selection.Set, path string) error {
	relations := l.engine.relations[typ]
	for _, f := range s.Fields(typ) {
		r, ok := relations[f.Name]
		if !ok {
			continue
		}
		below := s.Below(f)
		if r.Check != nil {
			if err := r.Check(FieldCall{Field: f, Selection: below}); err != nil {
				return errSkipped(err, f, path+f.Alias)
			}
		}
		if err := l.checkArguments(r.To, below, path+f.Alias+"."); err != nil {
			return err
		}
	}
	return nil
}

// errSkipped returns the error of fields whose own arguments are good, if those of another field are bad.
func errSkipped(err error, field graphql.CollectedField, path string) error {
	faultErr := &fault.Error{Code: fault.BadUserInput, Message: err.Error(), Err: err}
	if unread, ok := errors.AsType[*gqlerror.Error](err); ok { // from gqlgen's decoding; in look-ahead, its path leads from the root to the argument
		faultErr.Message, faultErr.Argument, faultErr.Err = unread.Message, fault.ArgumentAt(unread.Path), unread.Err
	}
	if bad, ok := errors.AsType[*fault.Error](err); ok {
		faultErr.Message, faultErr.Argument = bad.Message, cmp.Or(bad.Argument, faultErr.Argument)
	}
	faultErr.Message += " (at " + path + "; nothing was asked)"
	return &badArgumentError{faultErr, field.Position}
}

// badArgumentError is the error of a bad argument, with the position of its field.
type badArgumentError struct {
	public   *fault.Error
	position *ast.Position
}

// Error returns the message.
func (e *badArgumentError) Error() string { return e.public.Error() }

// Unwrap returns the error for the client.
func (e *badArgumentError) Unwrap() error { return e.public }

// addRefusal records an error for which the operation is not executed.
func (l *Loaders) addRefusal(err error) {
	if l.Refusal() == nil {
		l.Refuse(err)
	}
	l.refusals = append(l.refusals, err)
}

// requestErrors returns the errors of an operation that was refused for its arguments. Such errors have no path, and the
// response has no data (GraphQL specification, section 7.1.2). Each error gets the extensions, a code and an argument.
func (l *Loaders) requestErrors(extensions map[string]any) gqlerror.List {
	list := make(gqlerror.List, 0, len(l.refusals))
	for _, err := range l.refusals {
		gqlErr := &gqlerror.Error{Message: err.Error(), Extensions: maps.Clone(extensions)}
		gqlErr.Extensions["code"] = fault.CodeOf(err)
		if bad, ok := errors.AsType[*badArgumentError](err); ok {
			gqlErr.Extensions["argument"] = bad.public.Argument
			if bad.position != nil {
				gqlErr.Locations = []gqlerror.Location{{Line: bad.position.Line, Column: bad.position.Column}}
			}
		}
		list = append(list, gqlErr)
	}
	return list
}

// CheckSelection refuses a subscription if a field below it has bad arguments.
func (l *Loaders) CheckSelection(ctx context.Context, f graphql.CollectedField) {
	l.Refuse(l.checkBelow(ctx, f))
}

// checkBelow returns the error of the first bad argument below a field of a mutation or subscription.
func (l *Loaders) checkBelow(ctx context.Context, f graphql.CollectedField) error {
	below := selection.New(graphql.GetOperationContext(ctx), f.Selections)
	return l.checkArguments(f.Definition.Type.Name(), below, f.Alias+".")
}

// checkMutations checks the arguments of all fields of a mutation before the first change. If one is bad, no field is
// carried out. Later calls do nothing.
func (l *Loaders) checkMutations(ctx context.Context, check CheckInput) {
	l.plan.Do(func() {
		op := graphql.GetOperationContext(ctx)
		l.badInputs = make(map[string]error)
		fields := selection.OfOperation(op).Fields("Mutation")
		l.writes = len(fields)
		l.Refuse(l.Budget().Reserve(l.writes)) // one call for each change
		for _, f := range fields {
			err := check(ctx, f.Name, f.ArgumentMap(op.Variables))
			if err != nil {
				l.badInputs[f.Alias] = err
				err = errSkipped(err, f, f.Alias)
			} else {
				err = l.checkBelow(ctx, f)
			}
			if err != nil {
				l.addRefusal(err)
			}
		}
	})
}

// refusalOf returns why a field of a mutation is not carried out. The error of its own input precedes others.
func (l *Loaders) refusalOf(alias string) error {
	if own := l.badInputs[alias]; own != nil {
		return own
	}
	return l.Refusal()
}
