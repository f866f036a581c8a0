package transport

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
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
