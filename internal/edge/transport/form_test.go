package transport

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
)

// TestFormStartIsBounded verifies the bound on the bytes before a form's first file.
func TestFormStartIsBounded(t *testing.T) {
	const operations = "--B\r\nContent-Disposition: form-data; name=\"operations\"\r\n"
	limits := querylimit.Limits{}.WithDefaults()
	for name, before := range map[string]struct{ begin, again string }{
		"lines":                 {"", strings.Repeat("x", 1000) + "\r\n"},
		"one line":              {"", strings.Repeat("x", 1000)},
		"headers":               {operations, "X-A: " + strings.Repeat("x", 1000) + "\r\n"},
		"behind the operations": {operations + "\r\n{}\r\n--B", strings.Repeat(" ", 1000)},
	} {
		t.Run(name, func(t *testing.T) {
			again := strings.NewReader("")
			endless := readerFunc(func(p []byte) (int, error) {
				if again.Len() == 0 {
					again.Reset(before.again)
				}
				return again.Read(p)
			})
			body := &counted{Reader: io.LimitReader(io.MultiReader(strings.NewReader(before.begin), endless), 64<<20)}
			r := httptest.NewRequest(http.MethodPost, "/graphql", body)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
			w := httptest.NewRecorder()
			multipartForm{limits: limits}.Do(w, r, nil)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "BAD_USER_INPUT") {
				t.Errorf("answered %d: %s", w.Code, w.Body)
			}
			if most := limits.BodyBytes + 256<<10; body.read > most {
				t.Errorf("%d bytes have been read, more than %d", body.read, most)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// counted counts the bytes that are read through it.
type counted struct {
	io.Reader
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}

// TestFormLengthsAreDistinct verifies that a file of another length than declared never
// yields as many bytes as declared. A receiver would take it as complete.
func TestFormLengthsAreDistinct(t *testing.T) {
	const text = "0123456789"
	for name, read := range map[string]func(io.Reader) io.Reader{
		"at once":              func(r io.Reader) io.Reader { return r },
		"byte by byte":         iotest.OneByteReader,
		"its end with it":      iotest.DataErrReader,
		"byte by byte, as one": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	} {
		for size := int64(1); size < 13; size++ {
			got, err := io.ReadAll(&formFile{file: read(strings.NewReader(text)), size: size})
			if size == int64(len(text)) {
				if err != nil || string(got) != text {
					t.Errorf("%s: %q, %v", name, got, err)
				}
				continue
			}
			if !errors.Is(err, scalar.ErrLength) || int64(len(got)) >= size {
				t.Errorf("%s, got %d: %d bytes and %v", name, size, len(got), err)
			}
		}
		if got, err := io.ReadAll(&formFile{file: read(strings.NewReader(text)), size: -1}); err != nil || string(got) != text {
			t.Errorf("%s, without a size: %q, %v", name, got, err)
		}
	}
}
