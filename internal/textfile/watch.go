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
	// interval is the polling interval.
	interval = 2 * time.Second
	// settleTime is how long changed content must stay the same, so that no file is loaded while it is written.
	settleTime = 100 * time.Millisecond
)

// Source is a set of files that are loaded together.
type Source struct {
	// Setting is the name of the setting in the log.
	Setting string
	// Paths returns the current paths of the files.
	Paths func() []string
	// Load loads the files. If it fails, the previous content stays in force.
	Load func() error
}

// Watcher detects changes by content. Kubernetes, for example, replaces a symbolic link on the path, which changes
// neither the name nor always the time.
type Watcher struct {
	log     *slog.Logger
	sources []*watchedSource
}

type watchedSource struct {
	Source
	last   [sha256.Size]byte
	failed string // last error of Load, empty if the content is in force
}

// NewWatcher creates a watcher for files that have just been loaded.
func NewWatcher(log *slog.Logger, sources ...Source) *Watcher {
	w := &Watcher{log: log}
	for _, s := range sources {
		w.sources = append(w.sources, &watchedSource{Source: s, last: digest(s.Paths())})
	}
	return w
}

// Run checks the files every two seconds, and at each signal on now, until ctx is done.
func (w *Watcher) Run(ctx context.Context, now <-chan os.Signal) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-now:
			w.log.Info("looking at the files of keys, passwords and documents, after SIGHUP", "files", len(w.sources))
		case <-ticker.C:
		}
		for _, s := range w.sources {
			if !w.check(ctx, s) {
				return
			}
		}
	}
}

// check reloads a source if its content has changed or its last load failed. It returns false if ctx has ended.
func (w *Watcher) check(ctx context.Context, s *watchedSource) bool {
	paths := s.Paths()
	sum := digest(paths)
	if sum == s.last && s.failed == "" {
		return true
	}
	for sum != s.last {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(settleTime):
		}
		again := digest(paths)
		if again == sum {
			break
		}
		sum = again
	}
	if err := s.Load(); err != nil {
		if err.Error() != s.failed {
			w.log.Error("a changed file cannot be used; its previous content stays in force", "setting", s.Setting, "error", err)
		}
		s.failed = err.Error()
		return true
	}
	s.last, s.failed = sum, ""
	if after := s.Paths(); !slices.Equal(paths, after) {
		s.last = digest(after) // it may now refer to other files
	}
	w.log.Info("a changed file was read again", "setting", s.Setting)
	return true
}

// digest returns a hash of the files' content. A file that is not regular, such as a pipe, cannot be read twice and
// counts as unchanged.
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
	f, err := os.Open(path) //nolint:gosec // the path is an operator's setting
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
