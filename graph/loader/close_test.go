package loader

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// hanging answers when its caller has given up.
type hanging struct{ noConsole }

func (hanging) Companies(ctx context.Context, _ scope.Scope, _ string) ([]*cc.Company, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// TestCloseCancelsRunningLoads verifies that a complete answer does not wait for reads that it
// does not need.
func TestCloseCancelsRunningLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(hanging{}, nil, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l := e.Loaders(ctx, scope.Scope{})
		companies := l.Companies("")
		synctest.Wait()
		begun := time.Now()
		l.Close()
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v", took)
		}
		if _, err := companies(); !errors.Is(err, context.Canceled) {
			t.Errorf("the waiting caller got %v", err)
		}
	})
}

// TestPanicBecomesError verifies that a read that panics is an error, not an empty answer.
func TestPanicBecomesError(t *testing.T) {
	l := newTestEngine(t).Loaders(t.Context(), scope.Scope{}) // the console of these tests panics
	defer l.Close()
	for name, load := range map[string]func() error{
		"one by one": func() error { _, err := l.Companies("")(); return err },
		"a batch": func() error {
			_, err := l.Queues().LoadByID(l.Access, scope.Scope{}, "00000000-0000-4000-8000-000000000000", selection.Set{})()
			return err
		},
	} {
		if err := load(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// panicking panics with a secret.
type panicking struct{ noConsole }

func (panicking) Companies(context.Context, scope.Scope, string) ([]*cc.Company, error) {
	panic("swordfish") //nolint:forbidigo // the subject of the test
}

// TestPanicValuesAreSecret verifies that neither an error nor the log has the value of a panic.
func TestPanicValuesAreSecret(t *testing.T) {
	var logs bytes.Buffer
	e, err := New(panicking{}, nil, Options{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l := e.Loaders(t.Context(), scope.Scope{})
	defer l.Close()
	if _, err = l.Companies("")(); err == nil || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("the error is %v", err)
	}
	if newPrefetcher(l).guard(func() { panic("swordfish") }) { //nolint:forbidigo // the subject of the test
		t.Error("the walk went on")
	}
	text := logs.String()
	if strings.Count(text, "type=string") != 2 || strings.Contains(text, "swordfish") {
		t.Errorf("the log has %s", text)
	}
}
