package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// releaseBuild builds the program like `make build`, once for all tests, and removes it.
type releaseBuild struct {
	once sync.Once
	dir  string
	err  error
}

// Release is the released program, built from the present code.
var Release releaseBuild

// Binary returns the path of the binary, which the first test that needs it builds.
func (b *releaseBuild) Binary(t *testing.T) string {
	t.Helper()
	b.once.Do(func() { b.err = b.build() })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return filepath.Join(b.dir, "consoleql")
}

func (b *releaseBuild) build() (err error) {
	if b.dir, err = os.MkdirTemp("", "consoleql-release-"); err != nil {
		return err
	}
	var said bytes.Buffer
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(b.dir, "consoleql"), "github.com/consoleql/consoleql/cmd/server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = &said, &said
	if err := build.Run(); err != nil {
		return fmt.Errorf("the release cannot be built: %w\n%s", err, &said)
	}
	return nil
}

// remove deletes the binary after all tests.
func (b *releaseBuild) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir) // the system deletes remaining temporary files
	}
}
