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

// executor executes operations with their variables, for every transport. gqlgen's transports
// get parameters without variables.
type executor struct {
	graphql.GraphExecutor
	parsing *Parsing
}

// parsedSizeRatio is the maximum ratio of a parsed document's memory to its text, for a list of
// one-digit numbers. Fields with short names need half of it.
const parsedSizeRatio = 110

// NewParsedDocuments returns a cache of a schema's parsed documents. It also decodes the
// variables of operations.
func NewParsedDocuments(schema *ast.Schema) graphql.Cache[*ast.QueryDocument] {
	return parsedDocuments{
		graphqlhttp.NewDocuments(graphqlhttp.MaxDocumentBytes, func(text string, _ *ast.QueryDocument) int { return parsedSizeRatio * len(text) }), schema,
	}
}

// WithVariables returns t for operations whose parameters are in the context.
func WithVariables(t graphql.Transport, p *Parsing) graphql.Transport {
	return variablesTransport{t, p}
}

// variablesTransport is a transport for operations whose parameters are in the context.
type variablesTransport struct {
	graphql.Transport
	parsing *Parsing
}

// Do answers the request.
func (t variablesTransport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	t.Transport.Do(w, r, executor{exec, t.parsing})
}

// CreateOperationContext creates an operation from the parameters. It decodes the variables by
// their declared types as soon as the document is known.
func (e executor) CreateOperationContext(ctx context.Context, given *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	p, ok := graphqlhttp.ParametersOf(ctx)
	if !ok {
		return e.GraphExecutor.CreateOperationContext(ctx, given)
	}
	if refused := p.Refusal(); refused != nil {
		return &graphql.OperationContext{}, gqlerror.List{graphqlhttp.RequestError(refused)}
	}
	raw := p.Raw()
	raw.Headers, raw.ReadTime = given.Headers, given.ReadTime
	end, busy := e.parsing.begin(ctx, raw.Query)
	if busy != nil {
		return &graphql.OperationContext{}, gqlerror.List{busy}
	}
	defer end()
	v := &variables{Parameters: p, params: raw}
	op, errs := e.GraphExecutor.CreateOperationContext(context.WithValue(ctx, variablesKey{}, v), raw)
	if v.err != nil {
		errs = gqlerror.List{v.err}
	}
	return op, apierror.NotExecuted(op, errs)
}

type variablesKey struct{}

// variables are those of one operation, before they are decoded.
type variables struct {
	*graphqlhttp.Parameters
	params *graphql.RawParams // their destination
	err    *gqlerror.Error
}

// parsedDocuments is gqlgen's cache of documents. gqlgen decodes the variables right after its
// Get or Add, and has no other hook in between.
type parsedDocuments struct {
	graphqlhttp.Documents[*ast.QueryDocument]
	schema *ast.Schema
}

// Get returns a cached document, and decodes the variables of the operation in ctx.
func (d parsedDocuments) Get(ctx context.Context, text string) (*ast.QueryDocument, bool) {
	document, ok := d.Documents.Get(ctx, text)
	if ok {
		d.decode(ctx, document)
	}
	return document, ok
}

// Add stores a document, and decodes the variables of the operation in ctx.
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
		values, err := decodeVariables(d.schema, op, v.Variables, v.Files)
		if err == nil {
			err = refuseNulls(op, values)
		}
		if v.err = err; err == nil { // else gqlgen, which continues, must not evaluate conditions that are null
			v.params.Variables = values
		}
	}
}
