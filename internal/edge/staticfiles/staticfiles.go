// Package staticfiles serves the pages that are built into the binary, with their assets. A page and its assets load
// nothing from another host: their Content-Security-Policy enforces that.
package staticfiles

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// cacheForever is for assets, whose names change with their content.
	cacheForever = "public, max-age=31536000, immutable"
	// cacheNever is for pages, whose names stay. They may be stored, and are revalidated each
	// time.
	cacheNever = "no-cache"

	// IndexName is the page among the built files. All others are assets.
	IndexName = "index.html"
)

// contentType maps extensions explicitly, since the mime package depends on the machine's
// tables.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml; charset=utf-8"
	case ".ttf":
		return "font/ttf"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	default:
		return "application/octet-stream"
	}
}

// file is a file in identity form, compressed form, or both.
type file struct {
	contentType  string
	cacheControl string
	hash         string
	identity     func() ([]byte, error)
	gzipped      []byte
}

// Assets serves the files of a folder but [IndexName], for GET and HEAD, by the last element of the path. A file that is
// stored as NAME.gz is served as NAME. Assets have their content's hash in their name and may be cached for ever.
// Other names are not found.
func Assets(folder fs.FS) http.Handler {
	// The names come from an embedded folder, so that reading it cannot fail.
	entries, _ := fs.ReadDir(folder, ".")
	files := make(map[string]*file, len(entries))
	for _, entry := range entries {
		if entry.Name() == IndexName {
			continue
		}
		content, _ := fs.ReadFile(folder, entry.Name())
		name, f := newAsset(entry.Name(), content)
		files[name] = f
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[path.Base(r.URL.Path)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.ServeHTTP(w, r)
	})
}

// newAsset returns an asset that is stored as stored, and its name. It is decompressed once, when a client needs that.
func newAsset(stored string, content []byte) (name string, f *file) {
	name, compressed := strings.CutSuffix(stored, ".gz")
	f = &file{contentType: contentType(name), cacheControl: cacheForever, hash: hash(content)}
	if compressed {
		f.gzipped, f.identity = content, sync.OnceValues(func() ([]byte, error) { return decompress(content) })
	} else {
		f.identity = func() ([]byte, error) { return content, nil }
	}
	return name, f
}

// Page serves a page of HTML, which is revalidated each time.
func Page(content []byte) http.Handler {
	return &file{
		contentType:  contentType(IndexName),
		cacheControl: cacheNever,
		hash:         hash(content),
		identity:     func() ([]byte, error) { return content, nil },
		gzipped:      compress(content),
	}
}

// ServeHTTP answers in the form that the client accepts. Each form has its own ETag for
// conditional requests.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cacheControl)
	if f.gzipped != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			// A range of a compressed file is useless.
			r = r.Clone(r.Context())
			r.Header.Del("Range")
			h.Set("Content-Encoding", "gzip")
			h.Set("ETag", `"`+f.hash+`-gzip"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.gzipped))
			return
		}
	}
	content, err := f.identity()
	if err != nil {
		http.Error(w, "asset cannot be read", http.StatusInternalServerError)
		return
	}
	h.Set("ETag", `"`+f.hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func decompress(gzipped []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		return nil, fmt.Errorf("open compressed asset: %w", err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("decompress asset: %w", err)
	}
	return content, nil
}

// acceptsGzip reports whether Accept-Encoding accepts gzip (RFC 9110, section 12.5.3): by
// name, or by the wildcard if gzip is not named. A quality of zero refuses it.
func acceptsGzip(fields []string) bool {
	wildcard := false
	for item := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		accepted := true
		if value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q="); ok {
			quality, err := strconv.ParseFloat(value, 64)
			accepted = err == nil && quality > 0
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return accepted
		case "*":
			wildcard = accepted
		}
	}
	return wildcard
}

func compress(content []byte) []byte {
	var buffer bytes.Buffer
	// Writing to memory cannot fail.
	writer := gzip.NewWriter(&buffer)
	_, _ = writer.Write(content)
	_ = writer.Close()
	return buffer.Bytes()
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:12])
}

// contentSecurityPolicy restricts pages to their own origin. It allows inline styles, which GraphiQL's editor and
// component library use, and data: URLs for the editor's small images.
const contentSecurityPolicy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Secured adds the security headers. Assets need them too: a worker obeys the policy of its
// own script's response, not the page's.
func Secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		// The URL may contain an operation (?query=), which other sites must not see.
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}
