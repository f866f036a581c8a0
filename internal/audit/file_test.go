package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/consoleql/consoleql/internal/audit"
)

// TestPipeWithoutReader verifies that a pipe that nobody reads is refused, at the start and later.
func TestPipeWithoutReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenFile(path); err == nil || !strings.Contains(err.Error(), "a pipe that nobody reads") {
		t.Errorf("got %v", err)
	}
	if err := audit.CheckFile(path); err == nil || !strings.Contains(err.Error(), "a pipe that nobody reads") {
		t.Errorf("got %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		for {
			if _, err := f.Write([]byte(strings.Repeat("x", 1023) + "\n")); err != nil { // once the pipe is full, it stalls
				written <- err
				return
			}
		}
	}()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-written; err == nil {
		t.Error("a closed file takes lines")
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("a pipe without a reader is opened again")
	}
}

// TestReopenDuringWrites verifies that no line is lost while a file is opened again.
func TestReopenDuringWrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	f, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const lines = 2000
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range lines {
			if n, err := f.Write([]byte("{}\n")); n != 3 || err != nil {
				t.Errorf("wrote %d bytes: %v", n, err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-written:
			running = false
		default:
			if err := f.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || len(got) != 3*lines {
		t.Errorf("the file has %d bytes: %v", len(got), err)
	}
}
