package audit

import (
	"fmt"
	"os"
	"sync"
)

// File is a sink that appends to a file. It is safe for concurrent use.
type File struct {
	path string

	mu sync.Mutex
	f  *os.File
}

// OpenFile opens or creates a file that only its owner may read.
func OpenFile(path string) (*File, error) {
	f, err := openToAppend(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, f: f}, nil
}

func openToAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the path is an operator's setting
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return f, nil
}

// Write appends to the file.
func (s *File) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f.Write(p)
}

// Reopen opens the path again, for example after the file was moved away. If that fails, the old file stays in use.
func (s *File) Reopen() error {
	next, err := openToAppend(s.path)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.f
	s.f = next
	return old.Close()
}

// Close closes the file.
func (s *File) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f.Close()
}
