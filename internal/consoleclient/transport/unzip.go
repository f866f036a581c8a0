package transport

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// unzip makes the body of a response readable that is compressed with gzip, also by its older name (RFC 9110, section
// 8.4.1.3). net/http decompresses only a body that the request accepts, and then deletes the header.
func unzip(resp *http.Response) {
	coding := resp.Header.Get("Content-Encoding")
	if !strings.EqualFold(coding, "gzip") && !strings.EqualFold(coding, "x-gzip") {
		return
	}
	resp.Body = &zipped{ReadCloser: resp.Body}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
}

// zipped is a body that is decompressed while it is read.
type zipped struct {
	io.ReadCloser
	plain *gzip.Reader // nil before the first read
}

// Read implements io.Reader. An empty body is no gzip, and stays empty.
func (z *zipped) Read(p []byte) (n int, err error) {
	if z.plain == nil {
		if z.plain, err = gzip.NewReader(z.ReadCloser); err != nil {
			return 0, err
		}
	}
	return z.plain.Read(p)
}
