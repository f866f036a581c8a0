package querylimit

import (
	"context"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// executor executes operations by their parameters, whichever transport read them: gqlgen's
// transports are handed parameters without variables.
type executor struct {
	graphql.GraphExecutor
	// parameters are those of the operation; nil: those in the context.
	parameters func() *graphqlhttp.Parameters
}

// NewExecutor returns exec for operations whose parameters are given by parameters.
func NewExecutor(exec graphql.GraphExecutor, parameters func() *graphqlhttp.Parameters) graphql.GraphExecutor {
	return executor{exec, parameters}
}

// parsed is how many times the memory of its text a parsed document takes at most: a
// list of numbers of one digit does. Fields of some letters take half of that.
const parsed = 110

// NewParsedDocuments returns a cache of the documents of a schema. It decodes the variables of operations.
func NewParsedDocuments(schema *ast.Schema) graphql.Cache[*ast.QueryDocument] {
	return parsedDocuments{
		graphqlhttp.NewDocuments(graphqlhttp.MaxDocumentBytes, func(text string, _ *ast.QueryDocument) int { return parsed * len(text) }), schema,
	}
}

// WithVariables returns t for operations of the parameters in the context.
func WithVariables(t graphql.Transport) graphql.Transport { return variablesTransport{t} }

// variablesTransport is a transport whose operations are those of the parameters in the context.
type variablesTransport struct{ graphql.Transport }

// Do answers the request.
func (t variablesTransport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	t.Transport.Do(w, r, executor{GraphExecutor: exec})
}

// CreateOperationContext makes an operation of the parameters. Their variables are decoded, by
// the types that the operation declares, as soon as its document is known.
func (e executor) CreateOperationContext(ctx context.Context, given *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	p, ok := graphqlhttp.ParametersOf(ctx)
	if e.parameters != nil {
		p, ok = e.parameters(), true
	}
	if !ok {
		return e.GraphExecutor.CreateOperationContext(ctx, given)
	}
	raw, err := p.Raw()
	if err != nil {
		return &graphql.OperationContext{}, gqlerror.List{graphqlhttp.RequestError(err)}
	}
	raw.Headers, raw.ReadTime = given.Headers, given.ReadTime
	v := &variables{Parameters: p, params: raw}
	op, errs := e.GraphExecutor.CreateOperationContext(context.WithValue(ctx, variablesKey{}, v), raw)
	if v.err != nil {
		errs = gqlerror.List{v.err}
	}
	return op, apierror.NotExecuted(op, errs)
}

type variablesKey struct{}

// variables are those of one operation, to be decoded.
type variables struct {
	*graphqlhttp.Parameters
	params *graphql.RawParams // where they go
	err    *gqlerror.Error
}

// parsedDocuments is gqlgen's cache of documents. gqlgen reads the variables right after it has
// asked the cache, or told it, of the document, and has no other hook between the two.
type parsedDocuments struct {
	graphqlhttp.Documents[*ast.QueryDocument]
	schema *ast.Schema
}

// Get returns a document that is kept, and decodes the variables of the operation in ctx.
func (d parsedDocuments) Get(ctx context.Context, text string) (*ast.QueryDocument, bool) {
	document, ok := d.Documents.Get(ctx, text)
	if ok {
		d.decode(ctx, document)
	}
	return document, ok
}

// Add keeps a document, and decodes the variables of the operation in ctx.
func (d parsedDocuments) Add(ctx context.Context, text string, document *ast.QueryDocument) {
	d.Documents.Add(ctx, text, document)
	d.decode(ctx, document)
}

func (d parsedDocuments) decode(ctx context.Context, document *ast.QueryDocument) {
	v, ok := ctx.Value(variablesKey{}).(*variables)
	if !ok {
		return
	}
	if op := document.Operations.ForName(v.OperationName); op != nil {
		v.params.Variables, v.err = decodeVariables(d.schema, op, v.Variables, v.Files)
	}
}

func (m *coercionError) below(e ast.PathElement) *coercionError {
	if m != nil {
		m.at = append(ast.Path{e}, m.at...)
	}
	return m
}
