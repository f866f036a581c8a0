package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed dist
var dist embed.FS

const (
	// cacheForever is for assets, whose names change with their content.
	cacheForever = "public, max-age=31536000, immutable"
	// cacheNever is for the page, whose name stays. It may be stored, and is revalidated each
	// time.
	cacheNever = "no-cache"

	// indexName is the page itself, the only built file that is no asset.
	indexName = "index.html"

	// optionsPlaceholder is replaced in the built page by [Options].
	optionsPlaceholder = `<script type="application/json" id="options">{}</script>`
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
	plain        []byte
	gzipped      []byte
}

// assets are the embedded files, by the name that the page requests.
func assets() map[string]*file {
	// The name comes from the embedded folder, so that reading it cannot fail.
	entries, _ := dist.ReadDir("dist")
	files := make(map[string]*file, len(entries))
	for _, entry := range entries {
		if entry.Name() == indexName {
			continue
		}
		content, _ := dist.ReadFile(path.Join("dist", entry.Name()))
		name, compressed := strings.CutSuffix(entry.Name(), ".gz")
		f := &file{contentType: contentType(name), cacheControl: cacheForever, hash: hash(content)}
		if compressed {
			f.gzipped = content
		} else {
			f.plain = content
		}
		files[name] = f
	}
	return files
}

// page is the built index.html with the options in it.
func page(o Options) *file {
	// Strings always encode. encoding/json escapes <, > and &, so that no option can end its
	// script element.
	encoded, _ := json.Marshal(o)
	template, _ := dist.ReadFile(path.Join("dist", indexName))
	filled := strings.Replace(optionsPlaceholder, "{}", string(encoded), 1)
	content := bytes.Replace(template, []byte(optionsPlaceholder), []byte(filled), 1)
	return &file{
		contentType:  contentType(indexName),
		cacheControl: cacheNever,
		hash:         hash(content),
		plain:        content,
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

// identity returns the uncompressed content. Clients that refuse gzip are rare, so that it is
// not cached.
func (f *file) identity() ([]byte, error) {
	if f.plain != nil {
		return f.plain, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(f.gzipped))
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
