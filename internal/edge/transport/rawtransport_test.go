package transport

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
)

// TestRawTransport compares the response with that of encoding/json.
func TestRawTransport(t *testing.T) {
	failed := gqlerror.List{{Message: `"<no>"`, Extensions: map[string]any{"code": "NOT_FOUND"}}}
	for name, resp := range map[string]graphql.Response{
		"data":        {Data: json.RawMessage(`{"a":"x<y","b":[1,null]}`)},
		"null":        {Data: json.RawMessage(`null`), Errors: failed},
		"errors":      {Data: json.RawMessage(`{"a":null}`), Errors: failed},
		"extensions":  {Data: json.RawMessage(`{}`), Extensions: map[string]any{"x": map[string]any{"y": 1}}},
		"both":        {Data: json.RawMessage(`{}`), Errors: failed, Extensions: map[string]any{"x": "&"}},
		"no data":     {Errors: failed},
		"nothing yet": {},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(resp)
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			w := &rawWriter{ResponseWriter: rec}
			written := want
			if resp.Data != nil {
				w.response, written = &resp, []byte("what the transport writes")
			}
			if n, err := w.Write(written); n != len(written) || err != nil {
				t.Fatalf("wrote %d of %d, %v", n, len(written), err)
			}
			var wanted, got any
			if err := json.Unmarshal(want, &wanted); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", rec.Body, err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("- encoding/json + rawWriter: %s", diff)
			}
			if at := strings.Index(rec.Body.String(), string(resp.Data)); at < 0 {
				t.Errorf("the data is not as it was made: %s", rec.Body)
			}
			if length := rec.Header().Get("Content-Length"); resp.Data != nil && length != strconv.Itoa(rec.Body.Len()) {
				t.Errorf("Content-Length: %s of %d", length, rec.Body.Len())
			}
		})
	}
	if (&rawWriter{ResponseWriter: httptest.NewRecorder()}).Unwrap() == http.ResponseWriter(nil) {
		t.Error("the real writer cannot be reached")
	}
}

// TestRefusedOperationsHaveStatus verifies the status of operations without data by each transport with one answer. Some
// are refused, some find no memory, and some are executed. A busy gateway says when to return.
func TestRefusedOperationsHaveStatus(t *testing.T) {
	busy := gqlerror.List{apierror.RefusalOf(fault.Busy("busy"))}
	code := func(code string) gqlerror.List {
		return gqlerror.List{{Message: "no", Extensions: map[string]any{"code": code}}}
	}
	executed := func(data string, errs gqlerror.List) graphql.GraphExecutor {
		return responding{response: graphql.Response{Errors: errs, Data: json.RawMessage(data)}}
	}
	for name, tt := range map[string]struct {
		exec            graphql.GraphExecutor
		inJSON, asDraft int // status for application/json, and for application/graphql-response+json
	}{
		"no room to parse":         {refusing{errs: busy}, 503, 503},
		"no memory":                {responding{response: graphql.Response{Errors: busy}}, 503, 503},
		"a field that has no room": {executed(`{"a":null}`, busy), 200, 200},
		"no data but null":         {executed(`null`, code("NOT_FOUND")), 200, 200},
		"another error":            {responding{response: graphql.Response{Errors: code("NOT_FOUND")}}, 200, 400},
		"an unknown id":            {refusing{errs: code("PERSISTED_QUERY_NOT_FOUND")}, 200, 400},
		"a subscription":           {refusing{kind: ast.Subscription}, 200, 400},
		"does not fit the schema":  {refusing{errs: code("GRAPHQL_VALIDATION_FAILED")}, 422, 400},
		"is no GraphQL":            {refusing{errs: code("GRAPHQL_PARSE_FAILED")}, 422, 400},
		"two errors":               {refusing{errs: append(code("NOT_FOUND"), code("GRAPHQL_VALIDATION_FAILED")...)}, 422, 400},
	} {
		for media, want := range map[string]int{graphqlhttp.TypeJSON: tt.inJSON, graphqlhttp.TypeGraphQLResponse: tt.asDraft} {
			for transport, send := range requestsWithOneAnswer(t) {
				rec := httptest.NewRecorder()
				send(rec, media, tt.exec)
				if rec.Code != want {
					t.Errorf("%s by %s for %s: status %d, want %d: %s", name, transport, media, rec.Code, want, rec.Body)
				}
				if after := rec.Header().Get("Retry-After"); (after != "") != strings.Contains(rec.Body.String(), "RATE_LIMITED") {
					t.Errorf("%s by %s for %s: Retry-After %q: %s", name, transport, media, after, rec.Body)
				}
			}
		}
	}
}

// requestsWithOneAnswer sends an operation by each transport that has one answer.
func requestsWithOneAnswer(t *testing.T) map[string]func(w http.ResponseWriter, media string, exec graphql.GraphExecutor) {
	t.Helper()
	send := func(transport graphql.Transport, method, contentType, body string) func(http.ResponseWriter, string, graphql.GraphExecutor) {
		return func(w http.ResponseWriter, media string, exec graphql.GraphExecutor) {
			r := httptest.NewRequest(method, "/graphql", strings.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Accept", media)
			singleResult{transport}.Do(w, r, exec)
		}
	}
	contentType, form := formOf(t)
	return map[string]func(http.ResponseWriter, string, graphql.GraphExecutor){
		"POST": send(rawTransport{post{}}, http.MethodPost, "application/json", "{}"),
		"GET":  send(rawTransport{get{}}, http.MethodGet, "", ""),
		"form": send(multipartForm{querylimit.Limits{}.WithDefaults(), noDocuments{}, slog.New(slog.DiscardHandler)}, http.MethodPost, contentType, form),
	}
}

// refusing is an executor that refuses operations at their creation. Without errors, it creates operations of the kind.
type refusing struct {
	graphql.GraphExecutor
	errs gqlerror.List
	kind ast.Operation
}

func (e refusing) CreateOperationContext(context.Context, *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	return newOperation(e.kind), e.errs
}

func (refusing) DispatchError(_ context.Context, errs gqlerror.List) *graphql.Response {
	return &graphql.Response{Errors: errs}
}
