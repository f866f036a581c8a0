package consoleclient

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
)

// Every outcome of a call releases its concurrency slot.
func TestCallsLeaveTheirPlace(t *testing.T) {
	large := strings.Repeat(" ", 2*maxDrain)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   fault.Code
	}{
		"success":                 {jsonAnswer(`{"count":0,"list":[]}`), ""},
		"error":                   {statusAnswer(http.StatusNotFound, "text/html", "nothing here"), fault.UpstreamInvalidResponse},
		"error, with a long page": {statusAnswer(http.StatusNotFound, "text/html", large), fault.UpstreamInvalidResponse},
		"too large":               {jsonAnswer(`{"count":0,"list":[]` + large + `}`), fault.UpstreamInvalidResponse},
		"no JSON":                 {jsonAnswer(`<html>`), fault.UpstreamInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newTestClient(t, serve(t, c.answer), func(o *Options) {
				o.MaxResponseBytes = 1 << 10
				o.Transport = transport.New(transport.Options{Concurrency: 1})
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for i := range 3 {
				if _, err := client.Robots(ctx, testScope, List[RobotFilter]{}); fault.CodeOf(err) != c.want {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
}
