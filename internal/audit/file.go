package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/consoleql/consoleql/internal/logqueue"
)

// File is a sink that appends to a file. It is safe for concurrent use. Reopen and Close do not wait for a write that
// stalls.
type File struct {
	path string

	mu    sync.Mutex
	file  *os.File
	lines *logqueue.Lines // in front of file
}

// OpenFile opens or creates a file that only its owner may read. A pipe needs a reader.
func OpenFile(path string) (*File, error) {
	f, err := openToAppend(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, file: f, lines: logqueue.NewLines(f, false)}, nil
}

// openToAppend opens a file. It does not wait for the reader of a pipe.
func openToAppend(path string) (*os.File, error) {
	f, err := open(path, os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return f, nil
}

// CheckFile reports whether an existing file can be opened. It changes nothing.
func CheckFile(path string) error {
	f, err := open(path, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func open(path string, create int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK|create, 0o600) //nolint:gosec // the path is an operator's setting
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("%s is a pipe that nobody reads, or a socket: %w", path, err)
	}
	return f, err //nolint:wrapcheck // it names the path
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	for lines := f.present(); ; {
		n, err := lines.Write(p)
		next := f.present()
		if n > 0 || next == lines || !errors.Is(err, os.ErrClosed) {
			return n, err //nolint:wrapcheck // the file's error names its path
		}
		lines = next // Reopen has closed the file meanwhile
	}
}

// present returns what writes to the present file.
func (f *File) present() *logqueue.Lines {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lines
}

// Reopen opens the path again, for example after the file was moved away. If that fails, the old file stays in use.
func (f *File) Reopen() error {
	next, err := openToAppend(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	old := f.file
	f.file, f.lines = next, logqueue.NewLines(next, f.lines.Torn() && same(old, next))
	f.mu.Unlock()
	return old.Close()
}

// same reports whether two files are one.
func same(a, b *os.File) bool {
	one, err := a.Stat()
	if err != nil {
		return false
	}
	other, err := b.Stat()
	return err == nil && os.SameFile(one, other)
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	file := f.file
	f.mu.Unlock()
	return file.Close()
}
