package operationcache

import (
	"net/http"
	"testing"
)

func TestAcceptable(t *testing.T) {
	for header, want := range map[string]encoding{
		"":                         identity,
		"gzip":                     inGzip,
		"GZIP":                     inGzip,
		"x-gzip":                   inGzip,
		"X-Gzip;q=0, *":            identity,
		"gzip, zstd":               inZstd,
		"gzip;q=1, zstd;q=0.5":     inGzip,
		"zstd;q=0, gzip;q=0":       identity,
		"br":                       identity,
		"*":                        inGzip,
		"gzip, *":                  inGzip,
		"*, zstd":                  inZstd,
		"gzip;q=0, *":              identity,
		"*;q=0.4":                  inGzip,
		"deflate, *;q=0.1":         inGzip,
		"br, zstd;q=0, *":          inGzip,
		"zstd;q=0.3, gzip;q=0.3":   inZstd,
		"identity;q=0.5, *":        inGzip,
		"identity;q=0.5, *;q=0.1":  identity,
		"*;q=0.1, zstd;q=0":        inGzip,
		"identity, gzip;q=0.5":     identity,
		"identity;q=0.5, gzip":     inGzip,
		"identity;q=0":             identity,
		"gzip;q=nonsense":          identity,
		"gzip;q=2":                 identity,
		"gzip ; q=0.3 , deflate":   inGzip,
		"zstd;level=1;q=0.2, gzip": inGzip,
	} {
		var values []string
		if header != "" {
			values = []string{header}
		}
		if got, _ := acceptable(values); got != want {
			t.Errorf("%q: %s, want %s", header, got.name(), want.name())
		}
	}
}

// TestShortBodies verifies that short bodies are compressed only for clients that refuse
// identity.
func TestShortBodies(t *testing.T) {
	for header, want := range map[string]encoding{
		"gzip":                       identity,
		"*":                          identity,
		"gzip, identity;q=0":         inGzip,
		"*, identity;q=0.0":          inGzip,
		"gzip;q=0.1, *;q=0":          inGzip,
		"gzip, *;q=0, identity":      identity,
		"br, identity;q=0":           identity,
		"zstd;q=0, gzip":             identity,
		"zstd, gzip;q=0, *;q=0.000":  inZstd,
		"gzip, *;q=0, identity;q=.1": identity,
	} {
		if got := encodingFor([]string{header}, 20); got != want {
			t.Errorf("%q: %s, want %s", header, got.name(), want.name())
		}
	}
}

func TestMatches(t *testing.T) {
	const etag = `W/"abc"`
	for header, want := range map[string]bool{
		etag: true, `"abc"`: true, "*": true, `"x", W/"abc"`: true, `"x"`: false, "": false, `abc`: false,
	} {
		if got := matches([]string{header}, etag); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestNoCacheDirectives(t *testing.T) {
	for name, tt := range map[string]struct {
		header http.Header
		want   bool
	}{
		"nothing":                   {http.Header{}, false},
		"no-cache":                  {http.Header{"Cache-Control": {"no-cache"}}, true},
		"among others":              {http.Header{"Cache-Control": {"no-transform, No-Cache"}}, true},
		"a reload in a browser":     {http.Header{"Cache-Control": {"max-age=0"}}, true},
		"something else":            {http.Header{"Cache-Control": {"max-age=10"}}, false},
		"HTTP/1.0":                  {http.Header{"Pragma": {"no-cache"}}, true},
		"Pragma beside the new one": {http.Header{"Pragma": {"no-cache"}, "Cache-Control": {"max-age=10"}}, false},
	} {
		if got := noCache(tt.header); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
