package textfile

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"
)

const (
	// interval is how often the files are looked at.
	interval = 2 * time.Second
	// settling is how long a changed content must stay, so that no half of a file is read
	// while it is written.
	settling = 100 * time.Millisecond
)

// Source is one or several files that are read together.
type Source struct {
	// Setting names them in the log.
	Setting string
	// Paths are the files as they are now.
	Paths func() []string
	// Load reads them again. Where it fails, what was read before stays in force.
	Load func() error
}

// Watcher looks at files by their content: Kubernetes, for one, replaces a link on the way to
// a file, which changes neither its name nor, always, its time.
type Watcher struct {
	log     *slog.Logger
	sources []*watched
}

type watched struct {
	Source
	last   [sha256.Size]byte
	failed string // the last error of Load, if the content is not in force
}

// NewWatcher notes the content of files that have just been read.
func NewWatcher(log *slog.Logger, sources ...Source) *Watcher {
	w := &Watcher{log: log}
	for _, s := range sources {
		w.sources = append(w.sources, &watched{Source: s, last: digest(s.Paths())})
	}
	return w
}

// Run looks at the files every two seconds, and whenever now says so, until ctx is done.
func (w *Watcher) Run(ctx context.Context, now <-chan os.Signal) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-now:
			w.log.Info("looking at the files of keys and passwords, as the process was told to", "files", len(w.sources))
		case <-ticker.C:
		}
		for _, s := range w.sources {
			if !w.look(ctx, s) {
				return
			}
		}
	}
}

// look reads a source again if its content has changed, or could not be used the last time.
// It is false where ctx has ended.
func (w *Watcher) look(ctx context.Context, s *watched) bool {
	paths := s.Paths()
	sum := digest(paths)
	if sum == s.last && s.failed == "" {
		return true
	}
	for sum != s.last {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(settling):
		}
		again := digest(paths)
		if again == sum {
			break
		}
		sum = again
	}
	if err := s.Load(); err != nil {
		if err.Error() != s.failed {
			w.log.Error("a changed file cannot be used; what it held before stays in force", "setting", s.Setting, "error", err)
		}
		s.failed = err.Error()
		return true
	}
	s.last, s.failed = sum, ""
	if after := s.Paths(); !slices.Equal(paths, after) {
		s.last = digest(after) // it refers to other files than before
	}
	w.log.Info("a changed file was read again", "setting", s.Setting)
	return true
}

// digest is a hash of the files' content. What is no regular file, such as a pipe, cannot be
// read twice and counts as unchanged.
func digest(paths []string) [sha256.Size]byte {
	h := sha256.New()
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			h.Write([]byte("none"))
			continue
		}
		sum, size := fileSum(path)
		h.Write(fmt.Append(nil, size, ";"))
		h.Write(sum)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func fileSum(path string) (sum []byte, size int64) {
	f, err := os.Open(path) //nolint:gosec // the operator's own setting
	if err != nil {
		return nil, -1
	}
	defer func() { _ = f.Close() }() // nothing was written
	h := sha256.New()
	if size, err = io.Copy(h, io.LimitReader(f, maxSize+1)); err != nil {
		return nil, -1
	}
	return h.Sum(nil), size
}
