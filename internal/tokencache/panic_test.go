package tokencache_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
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
				c := newCache(t, s)
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
				s.setFailure(nil)
				if token, err := c.Token(ctx); token == "" || err != nil {
					t.Errorf("afterwards: got %q and %v", token, err)
				}
			})
		})
	}
}
