package transport

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

// gqlgen's transport writes "data":null for a response without data. A request that failed
// before its execution must have no data, and one that failed during it has null (GraphQL
// specification, section 7.1). socketExecutor marks the difference, which withoutData reads.

// executedNull marks data that became null during the execution.
const executedNull = "[]"

// socketExecutor replaces data that became null during the execution by executedNull.
type socketExecutor struct{ graphql.GraphExecutor }

// DispatchOperation executes an operation.
func (e socketExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	respond, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
	return func(ctx context.Context) *graphql.Response {
		resp := respond(ctx)
		if resp == nil || string(bytes.TrimSpace(resp.Data)) != "null" {
			return resp
		}
		marked := *resp
		marked.Data = []byte(executedNull)
		return &marked
	}, ctx
}

// withoutData returns the payload of a message with its data corrected, and whether it
// differs.
func withoutData(payload jsontext.Value) (jsontext.Value, bool) {
	if !bytes.Contains(payload, []byte(`"data":null`)) && !bytes.Contains(payload, []byte(`"data":[]`)) {
		return payload, false
	}
	var response struct {
		Errors     jsontext.Value `json:"errors,omitzero"`
		Data       jsontext.Value `json:"data,omitzero"`
		Extensions jsontext.Value `json:"extensions,omitzero"`
	}
	if json.Unmarshal(payload, &response, jsontext.AllowDuplicateNames(true)) != nil {
		return payload, false
	}
	switch {
	case string(response.Data) == executedNull:
		response.Data = jsontext.Value("null")
	case response.Data.Kind() == 'n':
		response.Data = nil
	default:
		return payload, false
	}
	written, err := json.Marshal(response)
	return written, err == nil
}

// waitingExecutor counts each response of a WebSocket until the next is asked for. The responses of all its operations
// wait for the same connection.
type waitingExecutor struct {
	graphql.GraphExecutor
	budget *slowreader.Budget
	cut    func()
}

// DispatchOperation executes an operation.
func (e waitingExecutor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	respond, ctx := e.GraphExecutor.DispatchOperation(ctx, op)
	var last *slowreader.Answer
	return func(ctx context.Context) *graphql.Response {
		last.End()
		resp := respond(ctx)
		if resp != nil {
			last = e.budget.Begin(len(resp.Data), e.cut)
		}
		return resp
	}, ctx
}
