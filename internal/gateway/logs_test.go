package gateway

import (
	"strings"
	"testing"
)

// TestProxyPasswordIsNotRepeated verifies that a URL of a proxy in --trusted-proxies is not repeated with its password.
func TestProxyPasswordIsNotRepeated(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://user:CANARY@proxy:3128/": "a URL with credentials",
		"user:CANARY@10.0.0.0/8":         "a URL with credentials",
		"10.0.0.0/99":                    "10.0.0.0/99",
	} {
		_, err := Logging{TrustedProxies: []string{text}}.proxies()
		if err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
