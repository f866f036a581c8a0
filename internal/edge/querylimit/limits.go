// Package querylimit bounds the cost of an operation, and enforces the permissions of API
// keys.
package querylimit

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// Defaults of Limits.
const (
	DefaultDepth        = 15
	DefaultFields       = 500
	DefaultAnswerBytes  = 16 << 20
	DefaultAnswerValues = 500_000
	DefaultWait         = 30 * time.Second
	DefaultBodyBytes    = 1 << 20
	DefaultUploadBytes  = int64(4 << 30)

	defaultTokens = 15_000
)

// Limits bound an operation. A zero field means its default.
type Limits struct {
	// Depth bounds the nesting of fields. Introspection is not counted.
	Depth int
	// Fields bounds the fields of one object after fragments are merged.
	Fields int
	// AnswerBytes bounds the data of an answer, in bytes of JSON.
	AnswerBytes int
	// AnswerValues bounds the objects, lists and scalars of an answer.
	AnswerValues int
	// Wait bounds how long an answer waits for memory while it is encoded.
	Wait time.Duration
	// Tokens bounds the length of a document, in lexical tokens.
	Tokens int
	// BodyBytes bounds the request body.
	BodyBytes int64
	// UploadBytes bounds a request body with files.
	UploadBytes int64
	// NoIntrospection refuses __schema, __type and _service, and suggests no names in errors.
	NoIntrospection bool
}

// WithDefaults returns the limits with defaults for zero fields.
func (l Limits) WithDefaults() Limits {
	l.Depth = cmp.Or(l.Depth, DefaultDepth)
	l.Fields = cmp.Or(l.Fields, DefaultFields)
	l.AnswerBytes = cmp.Or(l.AnswerBytes, DefaultAnswerBytes)
	l.AnswerValues = cmp.Or(l.AnswerValues, DefaultAnswerValues)
	l.Wait = cmp.Or(l.Wait, DefaultWait)
	l.Tokens = cmp.Or(l.Tokens, defaultTokens)
	l.BodyBytes = cmp.Or(l.BodyBytes, DefaultBodyBytes)
	l.UploadBytes = cmp.Or(l.UploadBytes, DefaultUploadBytes)
	return l
}

// AnonymousBodyBytes bounds a request without credentials, which can only sign in or
// introspect.
const AnonymousBodyBytes = 16 << 10

// BodyLimit returns the maximum size of the request's body, in bytes.
func (l Limits) BodyLimit(r *http.Request) int64 {
	switch {
	case graphqlhttp.IsAnonymous(r.Context()):
		return min(AnonymousBodyBytes, l.BodyBytes)
	case graphqlhttp.IsMultipart(r):
		return l.UploadBytes
	default:
		return l.BodyBytes
	}
}

// Limiter refuses operations that are too deep or too large before they run.
type Limiter struct {
	Limits Limits
}

// ExtensionName is the name under which gqlgen knows the extension.
func (*Limiter) ExtensionName() string { return limiterName }

const limiterName = "Limits"

// fieldsOf returns the number of fields of an operation, as the Limiter has counted them.
func fieldsOf(op *graphql.OperationContext) int {
	n, _ := op.Stats.GetExtension(limiterName).(int)
	return n
}

// Validate accepts every schema.
func (*Limiter) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses an operation that exceeds the limits.
func (l *Limiter) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	// Measure the size first: it bounds the work of the following checks, which walk each
	// spread of a fragment.
	size := newMeasure().of(op.Operation.SelectionSet)
	op.Stats.SetExtension(limiterName, size.fields)
	if size.depth > l.Limits.Depth {
		return apierror.Refusal(fault.QueryTooDeep, "the operation nests more than %d fields", l.Limits.Depth)
	}
	if size.fields > maxFields {
		return apierror.Refusal(fault.QueryTooComplex, "the operation selects more than %d fields, those of each spread of a fragment counted", maxFields)
	}
	if op.Operation.Operation == ast.Subscription && len(graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})) != 1 {
		return apierror.Refusal(fault.ValidationFailed, "a subscription must select exactly one field")
	}
	if op.Operation.Operation == ast.Subscription && keptBytes(ctx, op) > maxSubscriptionBytes {
		return apierror.Refusal(fault.QueryTooComplex, "the document, the variables and the extensions of a subscription, which are kept while it lasts, have more than %d bytes", maxSubscriptionBytes)
	}
	reads := introspections(op)
	if l.Limits.NoIntrospection && len(reads) > 0 {
		return apierror.Refusal(fault.Forbidden, "introspection is turned off: %s cannot be selected", reads[0])
	}
	if len(reads) > maxIntrospections {
		return apierror.Refusal(fault.QueryTooComplex, "the operation selects __schema and __type more than %d times", maxIntrospections)
	}
	if signIns(op) > 1 {
		return apierror.Refusal(fault.BadUserInput, "signIn: may be asked for once in an operation")
	}
	return nil
}

// maxSubscriptionBytes bounds the part of the request that a subscription keeps in memory. 500
// ids need 20 KB.
const maxSubscriptionBytes = 32 << 10

// keptBytes returns the size of that part. The request's variables and extensions are kept as they were sent.
func keptBytes(ctx context.Context, op *graphql.OperationContext) int {
	variables := textBytes(op.Variables)
	if p, ok := graphqlhttp.ParametersOf(ctx); ok {
		variables = max(variables, len(p.Variables)) + len(p.Extensions)
	}
	return len(op.RawQuery) + variables
}

// textBytes returns the number of bytes of all texts in a variable's value, plus one for each
// value.
func textBytes(value any) int {
	n := 1
	switch value := value.(type) {
	case string:
		n += len(value)
	case json.Number:
		n += len(value)
	case []any:
		for _, v := range value {
			n += textBytes(v)
		}
	case map[string]any:
		for name, v := range value {
			n += len(name) + textBytes(v)
		}
	}
	return n
}

// maxIntrospections bounds the root fields that read the schema. The validator's rule
// MaxIntrospectionDepth bounds the repetition in one of them, and Limits.AnswerValues bounds
// their answers.
const maxIntrospections = 10

// introspections returns the names of an operation's root fields that read the schema. _service is
// that of a subgraph of a federation.
func introspections(op *graphql.OperationContext) (names []string) {
	if op.Operation.Operation != ast.Query {
		return nil
	}
	for _, f := range graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Query"}) {
		if f.Name == "__schema" || f.Name == "__type" || f.Name == "_service" {
			names = append(names, f.Name)
		}
	}
	return names
}

// signIns counts an operation's fields that check a password. Proxies count password guesses
// by request, so that a request must not contain many.
func signIns(op *graphql.OperationContext) int {
	if op.Operation.Operation != ast.Mutation {
		return 0
	}
	n := 0
	for _, f := range graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Mutation"}) {
		if f.Name == "signIn" {
			n++
		}
	}
	return n
}

// maxFields bounds an operation's selections after its fragments are spread. A document of the
// largest size (Limits.Tokens) without fragments stays below it.
const maxFields = 20_000

// selectionSize is the size of a selection.
type selectionSize struct {
	depth  int // nesting of fields, without introspection
	fields int // number of selections with all fragments spread; saturates
}

// measure measures each fragment once, however often it is spread. Spreading them would take
// exponential time if each fragment spreads the next one twice.
type measure struct {
	fragments map[*ast.FragmentDefinition]selectionSize
}

func newMeasure() *measure {
	return &measure{fragments: make(map[*ast.FragmentDefinition]selectionSize)}
}

// Depth returns the nesting of an operation's fields. Introspection is not counted.
func Depth(op *graphql.OperationContext) int {
	return newMeasure().of(op.Operation.SelectionSet).depth
}

func (m *measure) of(set ast.SelectionSet) selectionSize {
	var all selectionSize
	for _, s := range set {
		var e selectionSize
		switch s := s.(type) {
		case *ast.Field:
			e = m.of(s.SelectionSet)
			e.depth++
			if s.Name == "__schema" || s.Name == "__type" {
				e.depth = 0
			}
		case *ast.InlineFragment:
			e = m.of(s.SelectionSet)
		case *ast.FragmentSpread:
			e = m.spread(s.Definition)
		}
		all.depth = max(all.depth, e.depth)
		all.fields = min(all.fields+e.fields+1, 2*maxFields)
	}
	return all
}

func (m *measure) spread(f *ast.FragmentDefinition) selectionSize {
	e, known := m.fragments[f]
	if !known {
		e = m.of(f.SelectionSet) // the validator has refused cyclic fragments
		m.fragments[f] = e
	}
	return e
}
