package accesslog_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/accesslog"
)

// TestClients verifies whose X-Forwarded-For is trusted.
func TestClients(t *testing.T) {
	t.Parallel()
	proxies := accesslog.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":               {"192.0.2.1:4711", []string{"203.0.113.7"}, "192.0.2.1"},
		"a proxy":                {"10.1.2.3:4711", []string{"203.0.113.7"}, "203.0.113.7"},
		"a proxy without header": {"10.1.2.3:4711", nil, "10.1.2.3"},
		"a forged beginning":     {"10.1.2.3:4711", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		"two proxies":            {"10.1.2.3:4711", []string{"203.0.113.7", "10.9.9.9"}, "203.0.113.7"},
		"with a port":            {"10.1.2.3:4711", []string{"203.0.113.7:80"}, "203.0.113.7"},
		"IPv6":                   {"[fd00::1]:4711", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6":           {"[::ffff:10.1.2.3]:4711", []string{"203.0.113.7"}, "203.0.113.7"},
		"no address":             {"10.1.2.3:4711", []string{"203.0.113.7, unknown"}, "10.1.2.3"},
		"no peer":                {"@", []string{"203.0.113.7"}, ""},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded, "User-Agent": {strings.Repeat("a", 1000)}}}
		e := accesslog.Begin(r, http.Header{})
		e.SetClient(r, proxies)
		if address, agent := e.Client(); address != c.want || len(agent) != 256 {
			t.Errorf("%s: %q with an agent of %d bytes, want %q", name, address, len(agent), c.want)
		}
	}
}
