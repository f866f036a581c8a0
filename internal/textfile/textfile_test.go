package textfile_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/textfile"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSecrets(t *testing.T) {
	for name, tt := range map[string]struct{ text, want, refusal string }{
		"plain":              {"secret", "secret", ""},
		"line end":           {"secret\r\n", "secret", ""},
		"blanks are kept":    {" secret \n", " secret ", ""},
		"byte order mark":    {"\ufeffsecret\n", "secret", ""},
		"two of them":        {"\ufeff\ufeffsecret", "\ufeffsecret", ""},
		"a mark alone":       {"\ufeff\r\n", "", "is empty"},
		"empty":              {"", "", "is empty"},
		"UTF-16 of Windows":  {"\xff\xfes\x00", "", "UTF-16"},
		"UTF-16, big-endian": {"\xfe\xff\x00s", "", "UTF-16"},
		"UTF-16, no mark":    {"s\x00e\x00", "", "UTF-16"},
		"GBK":                {"\xc3\xdc\xc2\xeb", "", "not UTF-8"},
		"too large":          {strings.Repeat("x", 8<<20+1), "", "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			write(t, path, tt.text)
			got, err := textfile.Secret(path)
			switch {
			case tt.refusal == "" && (err != nil || got != tt.want):
				t.Errorf("got %q, %v", got, err)
			case tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret\r")):
				t.Errorf("got %q, %v; want a refusal: %s", got, err, tt.refusal)
			}
		})
	}
}

// watching runs a watcher of one source in fake time and logs each load.
func watching(t *testing.T, paths func() []string, load func() error, test func(now chan os.Signal, logs *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		w := textfile.NewWatcher(slog.New(slog.NewTextHandler(&logs, nil)), textfile.Source{Setting: "--file", Paths: paths, Load: load})
		ctx, stop := context.WithCancel(t.Context())
		now, ended := make(chan os.Signal), make(chan struct{})
		go func() {
			w.Run(ctx, now)
			close(ended)
		}()
		test(now, &logs)
		stop()
		<-ended
	})
}

func TestChangesAreLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "one")
	var loads atomic.Int64
	watching(t, func() []string { return []string{path} }, func() error { loads.Add(1); return nil }, func(now chan os.Signal, _ *bytes.Buffer) {
		want := func(what string, n int64) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if got := loads.Load(); got != n {
				t.Errorf("%s: %d loads, want %d", what, got, n)
			}
		}
		want("unchanged", 0)
		write(t, path, "one")
		want("written again", 0)
		write(t, path, "two")
		want("another content", 1)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(t.TempDir(), "elsewhere")
		write(t, target, "three")
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		want("a link to another content", 2)
		write(t, path, "four")
		now <- syscall.SIGHUP
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if n := loads.Load(); n != 3 {
			t.Errorf("%d loads after a signal", n)
		}
	})
}

// TestUnloadableFiles: a failed load is logged once and repeated until it succeeds.
func TestUnloadableFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "good")
	var bad atomic.Pointer[error]
	var loaded atomic.Int64
	load := func() error {
		loaded.Add(1)
		if err := bad.Load(); err != nil {
			return *err
		}
		return nil
	}
	watching(t, func() []string { return []string{path} }, load, func(_ chan os.Signal, logs *bytes.Buffer) {
		bad.Store(new(errors.New("line 7 is wrong")))
		write(t, path, "bad")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := strings.Count(logs.String(), "line 7 is wrong"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, logs)
		}
		bad.Store(nil) // the referenced file is corrected
		before := loaded.Load()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := loaded.Load() - before; n != 1 || !strings.Contains(logs.String(), "read again") {
			t.Errorf("%d loads:\n%s", n, logs)
		}
	})
}

// TestPipesAreReadOnce: pipes are read only at the start, because opening one again may block forever.
func TestPipesAreReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var loads atomic.Int64
	watching(t, func() []string { return []string{path} }, func() error { loads.Add(1); return nil }, func(_ chan os.Signal, _ *bytes.Buffer) {
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := loads.Load(); n != 0 {
			t.Errorf("%d loads", n)
		}
	})
}
