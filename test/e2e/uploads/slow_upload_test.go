package uploads

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSlowUploadsHoldNoPermits verifies that slow uploads of all sizes do not block other
// console calls.
func TestSlowUploadsHoldNoPermits(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]int64{"straight to the console": 1 << 20, "to the storage": 1} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
				s.ConsoleConcurrency, s.DirectUploadBytes = 1, direct
			})
			file, more := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				a, err := uploadStream(w, file)
				if err == nil && len(a.Errors) > 0 {
					err = fmt.Errorf("answered with %s", a.Body)
				}
				ended <- err
			}()
			if _, err := more.Write([]byte("first")); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), e2e.Timeout)
				if a, err := w.AskContext(ctx, `{ robots { totalCount } }`, e2e.Request{}); err != nil || len(a.Errors) > 0 {
					t.Errorf("beside an upload, a query is answered with %s, %v", a.Body, err)
				}
				cancel()
			}
			if _, err := more.Write([]byte("last")); err != nil {
				t.Fatal(err)
			}
			_ = more.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
