package transport

import (
	"context"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
)

// gone is an executor for a client that has left: it returns no response.
type gone struct{ graphql.GraphExecutor }

func (gone) CreateOperationContext(context.Context, *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	return &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query}}, nil
}

func (gone) DispatchOperation(ctx context.Context, _ *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	return func(context.Context) *graphql.Response { return nil }, ctx
}

// TestUploadsOfDisconnectedClients verifies that they are answered, since the client may have
// closed only its sending side.
func TestUploadsOfDisconnectedClients(t *testing.T) {
	contentType, body := formOf(t)
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	multipartForm{querylimit.Limits{}.WithDefaults(), noDocuments{}, slog.New(slog.DiscardHandler)}.Do(w, r, gone{})
	if got := w.Body.String(); !strings.Contains(got, "the request was cancelled") || strings.Contains(got, "data") {
		t.Errorf("answered %s", got)
	}
}

// formOf returns a form with one file, and its media type.
func formOf(t *testing.T) (contentType, body string) {
	t.Helper()
	var text strings.Builder
	form := multipart.NewWriter(&text)
	for _, part := range [][2]string{{"operations", `{"query":"{ __typename }","variables":{"file":null}}`}, {"map", `{"0":["variables.file"]}`}, {"0", "file"}} {
		if err := form.WriteField(part[0], part[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), text.String()
}

// noDocuments knows no documents.
type noDocuments struct{}

func (noDocuments) Resolve(*graphqlhttp.Parameters) {}
