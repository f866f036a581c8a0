package transport

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

// responding is an executor with a fixed response.
type responding struct {
	graphql.GraphExecutor
	response *graphql.Response
}

func (e responding) DispatchOperation(ctx context.Context, _ *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	return graphql.OneShot(e.response), ctx
}

// TestDataOfSocketMessages verifies that a message has data only if the operation was
// executed.
func TestDataOfSocketMessages(t *testing.T) {
	errs := gqlerror.List{{Message: `"data":null and "data":[]`}}
	for name, tt := range map[string]struct {
		response graphql.Response
		want     string
	}{
		"not executed":                 {graphql.Response{Errors: errs}, `{"errors":[{"message":"\"data\":null and \"data\":[]"}]}`},
		"not executed, extensions":     {graphql.Response{Errors: errs, Extensions: map[string]any{"a": 1}}, `{"errors":[{"message":"\"data\":null and \"data\":[]"}],"extensions":{"a":1}}`},
		"null by its execution":        {graphql.Response{Errors: errs, Data: []byte("null")}, `{"errors":[{"message":"\"data\":null and \"data\":[]"}],"data":null}`},
		"null without an error":        {graphql.Response{Data: []byte("null"), Extensions: map[string]any{"a": 1}}, `{"data":null,"extensions":{"a":1}}`},
		"data":                         {graphql.Response{Data: []byte(`{"a":1}`)}, `{"data":{"a":1}}`},
		"a field of that name":         {graphql.Response{Data: []byte(`{"data":null}`)}, `{"data":{"data":null}}`},
		"a field that is an empty one": {graphql.Response{Errors: errs, Data: []byte(`{"data":[],"b":2}`)}, `{"errors":[{"message":"\"data\":null and \"data\":[]"}],"data":{"data":[],"b":2}}`},
	} {
		t.Run(name, func(t *testing.T) {
			respond, ctx := socketExecutor{responding{response: &tt.response}}.DispatchOperation(t.Context(), nil)
			payload, err := json.Marshal(respond(ctx)) // as gqlgen's transport does
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := withoutData(payload); string(got) != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if respond(ctx) != nil {
				t.Error("a second response")
			}
		})
	}
}

// TestWaitingResponses: a response counts until the next is asked for, and a socket that does not read is cut off.
func TestWaitingResponses(t *testing.T) {
	budget, cut := &slowreader.Budget{Bytes: 10 << 10}, 0
	response := graphql.Response{Data: make([]byte, 8<<10)}
	exec := waitingExecutor{responding{response: &response}, budget, func() { cut++ }}
	first, ctx := exec.DispatchOperation(t.Context(), nil)
	first(ctx)
	if held := budget.Held(); held != 8<<10 {
		t.Errorf("%d bytes are held", held)
	}
	for range 2 {
		next, ctx := exec.DispatchOperation(t.Context(), nil)
		next(ctx)
	}
	if cut != 1 || budget.Held() > 20<<10 {
		t.Errorf("cut off %d times; %d bytes are held", cut, budget.Held())
	}
}
