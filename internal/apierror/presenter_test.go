package apierror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
)

// presented returns the GraphQL error of an error, and its log entry.
func presented(err error) (*gqlerror.Error, string) {
	var logs bytes.Buffer
	p := Presenter{slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})), func(string) fault.Code { return "" }}
	return p.Present(context.Background(), err), logs.String()
}

// partialError is an error of a part of an operation.
type partialError struct{ error }

func (p partialError) Unwrap() error { return p.error }
func (partialError) Subject() string { return "robot 3" }

func TestPresent(t *testing.T) {
	console := &consoleclient.Error{Operation: "GET /openapi/queues", Status: 409, Title: "Conflict", Detail: "Somebody else was faster", Code: fault.Conflict}
	silent := &consoleclient.Error{Operation: "GET /openapi/queues", Title: "no answer", Code: fault.UpstreamUnavailable, Err: errors.New("dial tcp 10.0.0.1: refused")}
	for name, tt := range map[string]struct {
		err     error
		code    fault.Code
		message string // part of it
		console map[string]any
		logged  bool
	}{
		"a fault":             {fault.New(fault.NotFound, "no such Queue"), fault.NotFound, "no such Queue", nil, false},
		"a wrapped fault":     {fmt.Errorf("queue: %w", fault.New(fault.ScopeRequired, "which company?")), fault.ScopeRequired, "which company?", nil, false},
		"an argument":         {fault.BadInput("input.priority", "5001 is more than 5000"), fault.BadUserInput, "input.priority: 5001", nil, false},
		"the console":         {console, fault.Conflict, "Somebody else was faster", map[string]any{"status": 409, "title": "Conflict", "detail": "Somebody else was faster"}, false},
		"the console, joined": {errors.Join(errors.New("page 3"), console), fault.Conflict, "Somebody else", map[string]any{"status": 409, "title": "Conflict", "detail": "Somebody else was faster"}, false},
		"the console, a part": {partialError{console}, fault.Conflict, "robot 3: ", map[string]any{"status": 409, "title": "Conflict", "detail": "Somebody else was faster"}, false},
		"no answer":           {silent, fault.UpstreamUnavailable, "not available", nil, false},
		"too late":            {fmt.Errorf("queues: %w", context.DeadlineExceeded), fault.UpstreamTimeout, "in time", nil, false},
		"cancelled":           {fmt.Errorf("queues: %w", context.Canceled), fault.Internal, "cancelled", nil, false},
		"a panic":             {InternalError(), fault.Internal, "internal error", nil, false},
		"anything else":       {errors.New("postgres://u:p@host/db"), fault.Internal, "internal error", nil, true},
		"the body, no JSON":   {gqlerror.Errorf("json request body could not be decoded: EOF body:hunter2"), fault.BadUserInput, "not a JSON object", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, logs := presented(tt.err)
			if fmt.Sprint(got.Extensions["code"]) != string(tt.code) || !strings.Contains(got.Message, tt.message) {
				t.Errorf("%+v", got)
			}
			said, _ := got.Extensions["console"].(map[string]any)
			if diff := cmp.Diff(tt.console, said); diff != "" {
				t.Error(diff)
			}
			if (logs != "") != tt.logged {
				t.Errorf("logged %q", logs)
			}
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			for _, hidden := range []string{"hunter2", "10.0.0.1", "postgres", "GET /openapi"} {
				if strings.Contains(string(text), hidden) || !tt.logged && strings.Contains(logs, hidden) {
					t.Errorf("%s is shown in %s or logged in %s", hidden, text, logs)
				}
			}
		})
	}
}

func TestPresentCopiesSharedErrors(t *testing.T) {
	shared := gqlerror.Errorf("no")
	shared.Extensions = map[string]any{"code": "GRAPHQL_VALIDATION_FAILED"}
	first, _ := presented(shared)
	first.Message = "changed"
	if shared.Message != "no" {
		t.Error("the error itself was changed")
	}
	err := fault.BadInput("first", "x")
	a, _ := presented(gqlerror.WrapPath(ast.Path{ast.PathName("queues")}, err))
	b, _ := presented(gqlerror.WrapPath(ast.Path{ast.PathName("robots")}, err))
	if a.Path.String() != "queues" || b.Path.String() != "robots" || a.Extensions["argument"] != "first" || b.Extensions["argument"] != "first" {
		t.Errorf("got %+v and %+v", a, b)
	}
}

func TestCodesHaveMessages(t *testing.T) {
	words := make(map[string]fault.Code)
	for _, code := range []fault.Code{
		fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.BadUserInput, fault.Conflict, fault.RateLimited,
		fault.UpstreamUnavailable, fault.UpstreamTimeout, fault.UpstreamInvalidResponse, fault.Internal,
	} {
		if other, ok := words[defaultMessage(code)]; ok {
			t.Errorf("%s and %s read alike", code, other)
		}
		words[defaultMessage(code)] = code
	}
}

func TestRedactStrings(t *testing.T) {
	for message, want := range map[string]string{
		`String cannot represent a non string value: ["hunter2"]`:                     "String cannot represent a non string value",
		`Expected value of type "SignInInput!", found "hunter2".`:                     `Expected value of type "SignInInput!"`,
		`Unexpected String "hunter2"`:                                                 "Unexpected String",
		`Cannot query field "x" on type "Query".`:                                     `Cannot query field "x" on type "Query".`,
		`Int cannot represent non-integer value: "7"`:                                 "Int cannot represent non-integer value",
		`Int cannot represent non-integer value: 7.5`:                                 `Int cannot represent non-integer value: 7.5`,
		`Int cannot represent non-integer value: ["hunter2"]`:                         "Int cannot represent non-integer value",
		`Int cannot represent non-integer value: {a:"hunter2"}`:                       "Int cannot represent non-integer value",
		"Int cannot represent non-integer value: 1." + strings.Repeat("9", maxQuoted): "Int cannot represent non-integer value",
		`Expected value of type "[SignInInput!]", found "hunter2".`:                   `Expected value of type "[SignInInput!]"`,
		`Expected Name, found String "hunter2"`:                                       "Expected Name",
	} {
		if got := redactStrings(message); got != want {
			t.Errorf("%s becomes %s", message, got)
		}
	}
}

// TestBusyGateway: the error of a call that the gateway itself refuses does not name the console as the reason.
func TestBusyGateway(t *testing.T) {
	for reason, want := range map[admission.Reason]string{
		admission.Busy:      string(admission.Busy),
		admission.QueueFull: string(admission.QueueFull),
		admission.Paused:    "the console asks to slow down: " + string(admission.Paused),
	} {
		refused := &admission.RefusedError{Reason: reason, RetryAfter: 2 * time.Second}
		got, _ := presented(&consoleclient.Error{Operation: "GET /openapi/queues", Title: refused.Error(), Code: fault.RateLimited, RetryAfter: refused.RetryAfter, Unsent: true, Err: refused})
		if got.Message != want || got.Extensions["retryAfter"] != 2 {
			t.Errorf("%s: %q, %v", reason, got.Message, got.Extensions)
		}
	}
}
