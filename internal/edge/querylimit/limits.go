// Package querylimit bounds the cost of an operation, and enforces the permissions of API
// keys.
package querylimit

import (
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

// Limits bound an operation. A zero field means its default.
type Limits struct {
	// Depth bounds the nesting of fields; default 15. Introspection is not counted.
	Depth int
	// Fields bounds the fields of one object after fragments are merged; default 500.
	Fields int
	// AnswerBytes bounds the data of an answer, in bytes of JSON; default 16 MiB.
	AnswerBytes int
	// AnswerValues bounds the objects, lists and scalars of an answer; default 500,000.
	AnswerValues int
	// Wait bounds how long an answer waits for memory while it is encoded; default 30 s.
	Wait time.Duration
	// Tokens bounds the length of a document, in lexical tokens; default 15,000.
	Tokens int
	// BodyBytes bounds the request body; default 1 MiB.
	BodyBytes int64
	// UploadBytes bounds a request body with files; default 4 GiB.
	UploadBytes int64
	// NoIntrospection refuses __schema, __type and _service, and suggests no names in errors.
	NoIntrospection bool
}

// WithDefaults returns the limits with defaults for zero fields.
func (l Limits) WithDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 15
	}
	if l.Fields == 0 {
		l.Fields = 500
	}
	if l.AnswerBytes == 0 {
		l.AnswerBytes = 16 << 20
	}
	if l.AnswerValues == 0 {
		l.AnswerValues = 500_000
	}
	if l.Wait == 0 {
		l.Wait = 30 * time.Second
	}
	if l.Tokens == 0 {
		l.Tokens = 15_000
	}
	if l.BodyBytes == 0 {
		l.BodyBytes = 1 << 20
	}
	if l.UploadBytes == 0 {
		l.UploadBytes = 4 << 30
	}
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
func (*Limiter) ExtensionName() string { return "Limits" }

// Validate accepts every schema.
func (*Limiter) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses an operation that exceeds the limits.
func (l *Limiter) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	// Measure the size first: it bounds the work of the following checks, which walk each
	// spread of a fragment.
	m := newMeasure(op)
	size := m.of(op.Operation.SelectionSet)
	if size.depth > l.Limits.Depth {
		return apierror.Refusal(fault.QueryTooDeep, "the operation nests more than %d fields", l.Limits.Depth)
	}
	if size.fields > maxFields {
		return apierror.Refusal(fault.QueryTooComplex, "the operation selects more than %d fields, those of each spread of a fragment counted", maxFields)
	}
	if m.invalidCondition != nil {
		return apierror.Refusal(fault.BadUserInput, "variable $%s: is null, where @%s needs true or false", m.invalidCondition.Arguments.ForName("if").Value.Raw, m.invalidCondition.Name)
	}
	if op.Operation.Operation == ast.Subscription && len(graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})) != 1 {
		return apierror.Refusal(fault.ValidationFailed, "a subscription must select exactly one field")
	}
	if op.Operation.Operation == ast.Subscription && len(op.RawQuery)+textBytes(op.Variables) > maxSubscriptionBytes {
		return apierror.Refusal(fault.QueryTooComplex, "the document and the variables of a subscription, which are kept while it lasts, have more than %d bytes", maxSubscriptionBytes)
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

// extent is the size of a selection.
type extent struct {
	depth  int // nesting of fields, without introspection
	fields int // number of selections with all fragments spread; saturates
}

// measure measures each fragment once, however often it is spread. Spreading them would take
// exponential time if each fragment spreads the next one twice.
type measure struct {
	variables        map[string]any
	fragments        map[*ast.FragmentDefinition]extent
	invalidCondition *ast.Directive // a condition without a boolean value
}

func newMeasure(op *graphql.OperationContext) *measure {
	return &measure{variables: op.Variables, fragments: make(map[*ast.FragmentDefinition]extent)}
}

// Depth returns the nesting of an operation's fields. Introspection is not counted.
func Depth(op *graphql.OperationContext) int {
	return newMeasure(op).of(op.Operation.SelectionSet).depth
}

func (m *measure) of(set ast.SelectionSet) extent {
	var all extent
	for _, s := range set {
		var e extent
		switch s := s.(type) {
		case *ast.Field:
			m.checkConditions(s.Directives)
			e = m.of(s.SelectionSet)
			e.depth++
			if s.Name == "__schema" || s.Name == "__type" {
				e.depth = 0
			}
		case *ast.InlineFragment:
			m.checkConditions(s.Directives)
			e = m.of(s.SelectionSet)
		case *ast.FragmentSpread:
			m.checkConditions(s.Directives)
			e = m.spread(s.Definition)
		}
		all.depth = max(all.depth, e.depth)
		all.fields = min(all.fields+e.fields+1, 2*maxFields)
	}
	return all
}

// checkConditions records a condition without a boolean value. The validator accepts a nullable
// variable with a default at a non-null position, and its value may be null (GraphQL
// specification, section 5.8.5). gqlgen panics then.
func (m *measure) checkConditions(directives ast.DirectiveList) {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		if value, err := d.Arguments.ForName("if").Value.Value(m.variables); err != nil || !isBool(value) {
			m.invalidCondition = d
		}
	}
}

func isBool(value any) bool {
	_, ok := value.(bool)
	return ok
}

func (m *measure) spread(f *ast.FragmentDefinition) extent {
	e, known := m.fragments[f]
	if !known {
		e = m.of(f.SelectionSet) // the validator has refused cyclic fragments
		m.fragments[f] = e
	}
	return e
}
