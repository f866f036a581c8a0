// Package binarytest builds the gateway's program for tests.
package binarytest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Release builds the program like `make build`, once for all tests of a package. The zero value is ready for use, also by
// concurrent tests.
type Release struct {
	once sync.Once
	dir  string
	err  error
}

// Binary returns the path of the program, which the first test that needs it builds from the present code.
func (r *Release) Binary(t testing.TB) string {
	t.Helper()
	r.once.Do(func() { r.err = r.build(context.WithoutCancel(t.Context())) })
	if r.err != nil {
		t.Fatal(r.err)
	}
	return filepath.Join(r.dir, "consoleql")
}

func (r *Release) build(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "consoleql-release-"); err != nil {
		return err
	}
	var said bytes.Buffer
	// The build cache keeps what go run links, but not what go build links. So the first package alone waits for the linker.
	//nolint:gosec // the arguments are this package's
	build := exec.CommandContext(ctx, "go", "run", "-exec", "cp", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "github.com/consoleql/consoleql/cmd/server", filepath.Join(r.dir, "consoleql"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = &said, &said
	if err := build.Run(); err != nil {
		return fmt.Errorf("the release cannot be built: %w\n%s", err, &said)
	}
	return nil
}

// Remove deletes the program. Tests call it after their last use.
func (r *Release) Remove() {
	if r.dir != "" {
		_ = os.RemoveAll(r.dir) // the system deletes remaining temporary files
	}
}
