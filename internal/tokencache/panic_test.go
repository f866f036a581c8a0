package tokencache_test

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/consoleql/consoleql/internal/tokencache"
)

// A renewal that breaks off fails for all its callers, and the next caller starts another one.
func TestPanickingRefreshes(t *testing.T) {
	for name, breakOff := range map[string]func(string) error{
		"panic":  func(string) error { panic("hunter2") }, //nolint:forbidigo // the subject of the test
		"goexit": func(string) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := &sso{}
				s.setFailure(breakOff)
				var log bytes.Buffer
				c := newCache(t, s, func(o *tokencache.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				ctx := service(t)
				var callers sync.WaitGroup
				for range 3 {
					callers.Go(func() {
						if token, err := c.Token(ctx); err == nil || strings.Contains(err.Error(), "hunter2") {
							t.Errorf("got %q and %v", token, err)
						}
					})
				}
				callers.Wait()
				synctest.Wait() // for the log
				if text := log.String(); strings.Contains(text, "panicked") != (name == "panic") || strings.Contains(text, "hunter2") {
					t.Errorf("logged %q", text)
				}
				s.setFailure(nil)
				if token, err := c.Token(ctx); token == "" || err != nil {
					t.Errorf("afterwards: got %q and %v", token, err)
				}
			})
		})
	}
}
