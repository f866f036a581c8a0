package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/fault"
)

type codedError struct{}

func (codedError) Error() string         { return "coded" }
func (codedError) FaultCode() fault.Code { return fault.RateLimited }

func TestCodeOf(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"nil":                {nil, ""},
		"plain":              {io.EOF, fault.Internal},
		"ours":               {fault.New(fault.NotFound, "x"), fault.NotFound},
		"ours, wrapped":      {fmt.Errorf("a: %w", fmt.Errorf("b: %w", fault.New(fault.Conflict, "x"))), fault.Conflict},
		"ours, joined":       {errors.Join(io.EOF, fault.New(fault.Forbidden, "x")), fault.Forbidden},
		"another's":          {fmt.Errorf("a: %w", codedError{}), fault.RateLimited},
		"deadline":           {fmt.Errorf("a: %w", context.DeadlineExceeded), fault.UpstreamTimeout},
		"cancelled":          {context.Canceled, fault.Internal},
		"the outermost wins": {fault.New(fault.BadUserInput, "a: %w", codedError{}), fault.BadUserInput},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.CodeOf(c.err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	bad := fault.BadInput("input.priority", "is %d, not 0 to %d", 9000, 5000)
	if bad.Code != fault.BadUserInput || bad.Argument != "input.priority" || bad.Error() != "input.priority: is 9000, not 0 to 5000" {
		t.Errorf("got %+v: %v", bad, bad)
	}
	caused := fault.New(fault.Internal, "cannot read: %w", io.EOF)
	if !errors.Is(caused, io.EOF) || caused.Error() != "cannot read: EOF" {
		t.Errorf("got %v", caused)
	}
	if hidden := (&fault.Error{Code: fault.Internal, Message: "m", Err: io.EOF}); hidden.Error() != "m" || !errors.Is(hidden, io.EOF) {
		t.Errorf("got %v", hidden)
	}
}

func TestArgumentAt(t *testing.T) {
	for want, path := range map[string]ast.Path{
		"": nil, "id": {ast.PathName("id")}, "input.workflowIds.0": {ast.PathName("input"), ast.PathName("workflowIds"), ast.PathIndex(0)},
	} {
		if got := fault.ArgumentAt(path); got != want {
			t.Errorf("%q of %v, want %q", got, path, want)
		}
	}
}
