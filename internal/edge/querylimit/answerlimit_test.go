package querylimit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/graph/sequential"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
)

// TestQueriesWithoutMemoryAreRefused verifies that a query without memory has no data and one error. A mutation keeps
// its answer, because its change is made.
func TestQueriesWithoutMemoryAreRefused(t *testing.T) {
	t.Parallel()
	memory := bytepool.New(1 << 20)
	holding, holder, end := memory.Begin(t.Context())
	defer end()
	if err := holder.Take(holding, 2<<20); err != nil {
		t.Fatal(err)
	}
	x, ok := querylimit.NewAnswerLimits(querylimit.Limits{}, memory).(graphql.ResponseInterceptor)
	if !ok {
		t.Fatal("the extension does not intercept responses")
	}
	for operation, data := range map[ast.Operation]string{ast.Query: "", ast.Mutation: "data"} {
		ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: operation}})
		resp := x.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			if err := bytepool.FromContext(ctx).Take(short, 2<<20); fault.CodeOf(err) != fault.RateLimited {
				t.Errorf("%s: %v", operation, err)
			}
			return &graphql.Response{Data: []byte("data")}
		})
		if string(resp.Data) != data {
			t.Errorf("%s: the data is %s", operation, resp.Data)
		}
		if operation == ast.Query && (len(resp.Errors) != 1 || apierror.ExtensionCode(resp.Errors[0]) != "RATE_LIMITED" || resp.Errors[0].Extensions["retryAfter"] == nil) {
			t.Errorf("the errors are %v", resp.Errors)
		}
	}
}

// TestUploadsShareNoMemoryOfAnswers verifies that the console calls of a mutation with files do not take the memory of
// their answers for as long as the client sends the files.
func TestUploadsShareNoMemoryOfAnswers(t *testing.T) {
	t.Parallel()
	memory := bytepool.New(1 << 20)
	x, ok := querylimit.NewAnswerLimits(querylimit.Limits{}, memory).(graphql.ResponseInterceptor)
	if !ok {
		t.Fatal("the extension does not intercept responses")
	}
	for name, tt := range map[string]struct {
		files map[string]scalar.Upload
		share bool
	}{
		"without files": {nil, true},
		"with files":    {map[string]scalar.Upload{"file": {}}, false},
	} {
		ctx, _, end := memory.Begin(t.Context()) // as of the operation cache
		ctx = graphqlhttp.WithParameters(ctx, &graphqlhttp.Parameters{Files: tt.files})
		ctx = graphql.WithOperationContext(ctx, &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Mutation}})
		x.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
			if share := bytepool.FromContext(ctx); (share != nil) != tt.share {
				t.Errorf("%s: the calls share %v", name, share)
			}
			return &graphql.Response{}
		})
		end()
	}
}

// TestEncodingWaitIsBounded verifies that an answer is refused if it waits too long for memory while it is encoded.
func TestEncodingWaitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := bytepool.New(1 << 20)
		holding, holder, end := memory.Begin(t.Context())
		defer time.AfterFunc(time.Hour, end).Stop()
		if err := holder.Take(holding, 2<<20); err != nil {
			t.Fatal(err)
		}
		x, ok := querylimit.NewAnswerLimits(querylimit.Limits{Wait: time.Minute}, memory).(graphql.ResponseInterceptor)
		if !ok {
			t.Fatal("the extension does not intercept responses")
		}
		ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query}})
		begun := time.Now()
		resp := x.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
			sequential.FromContext(ctx).Array(100_000)
			return &graphql.Response{Data: []byte("data")}
		})
		if time.Since(begun) != time.Minute || resp.Data != nil || len(resp.Errors) != 1 || apierror.ExtensionCode(resp.Errors[0]) != "RATE_LIMITED" || resp.Errors[0].Extensions["retryAfter"] == nil {
			t.Errorf("answered %s, %v after %v", resp.Data, resp.Errors, time.Since(begun))
		}
	})
}
