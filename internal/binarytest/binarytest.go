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

// Release builds the program like `make build`, once for all tests of a package. All packages build it with the same
// flags, so that the build cache serves them all. The zero value is ready for use, also by concurrent tests.
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
	//nolint:gosec // the arguments are this package's
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(r.dir, "consoleql"), "github.com/consoleql/consoleql/cmd/server")
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
