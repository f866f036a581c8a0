package gateway

import (
	"testing"

	"github.com/consoleql/consoleql/internal/principal"
)

// TestClientOf verifies that no API key can be taken for another client in metrics.
func TestClientOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "service", "board": "board", "session": "key:session", "service": "key:service", "anonymous": "key:anonymous",
		"pass-through": "key:pass-through", "gateway": "key:gateway", "other": "key:other",
	} {
		if got := clientOf(principal.DefaultService().WithKey(name)); got != want {
			t.Errorf("the client of key %q is %q, want %q", name, got, want)
		}
	}
}
