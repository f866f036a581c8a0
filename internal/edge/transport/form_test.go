package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
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

// uploadedFile returns the file of a form, of which the client has sent the start. The memory counts for the caller.
func uploadedFile(t *testing.T, pool *graphqlhttp.BodyPool, body io.Reader, length int64) (scalar.File, error) {
	t.Helper()
	memory := pool.Begin(principal.NewContext(t.Context(), principal.ForAccount("uploads", nil)))
	t.Cleanup(memory.Release)
	r := httptest.NewRequestWithContext(graphqlhttp.WithReservation(t.Context(), memory), http.MethodPost, "/graphql", body)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	r.ContentLength = length
	f, err := newForm(r, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	f.files = map[string]int{"0": 1}
	return f.upload("0").Open() //nolint:wrapcheck // for the test
}

const startOfFile = "--B\r\nContent-Disposition: form-data; name=\"0\"; filename=\"a\"\r\n\r\n"

// TestBytesReadAheadCount verifies that the pool counts what a stalled upload holds, and gets it back as the file is sent on.
func TestBytesReadAheadCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := graphqlhttp.NewBodyPool(0)
		other := pool.Begin(principal.NewContext(t.Context(), principal.ForAccount("other", nil)))
		counted := func() int {
			return sort.Search(graphqlhttp.BodyPoolBytes, func(n int) bool {
				defer other.Release()
				return other.Take(graphqlhttp.BodyPoolBytes-n) == nil
			})
		}
		body, client := io.Pipe()
		const sent = 1 << 20
		go func() { _, _ = io.WriteString(client, startOfFile+strings.Repeat("x", sent)) }()
		file, err := uploadedFile(t, pool, body, -1)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			size, err := file.Length()
			if err == nil && size != sent {
				err = fmt.Errorf("a length of %d", size)
			}
			ended <- err
		}()
		synctest.Wait()
		if n := counted(); n < sent || n > sent+2*chunkBytes {
			t.Errorf("%d bytes count during a stalled upload of %d", n, sent)
		}
		if _, err := io.WriteString(client, "\r\n--B--\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(file); err != nil || len(got) != sent {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if n := counted(); n != 0 {
			t.Errorf("%d bytes count after the file is sent on", n)
		}
	})
}

// TestUploadsWithoutMemory verifies that a file of unknown length is refused while the pool is full, and that another
// file is sent on. A form whose start does not fit is answered 503.
func TestUploadsWithoutMemory(t *testing.T) {
	pool := graphqlhttp.NewBodyPool(0)
	other := pool.Begin(principal.NewContext(t.Context(), principal.ForAccount("other", nil)))
	defer other.Release()
	if err := other.Take(graphqlhttp.BodyPoolBytes - 2*chunkBytes); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 1<<20)
	body := startOfFile + text + "\r\n--B--\r\n"
	t.Run("no length", func(t *testing.T) {
		file, err := uploadedFile(t, pool, strings.NewReader(body), -1)
		if err != nil {
			t.Fatal(err)
		}
		var busy *fault.Error
		if _, err := file.Length(); !errors.As(err, &busy) || busy.Code != fault.RateLimited || busy.RetryAfter == 0 || !errors.Is(file.Err(), err) {
			t.Errorf("%v, %v", err, file.Err())
		}
	})
	t.Run("the length of the request", func(t *testing.T) {
		file, err := uploadedFile(t, pool, strings.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		size, err := file.Length()
		if got, readErr := io.ReadAll(file); err != nil || size != -1 || readErr != nil || string(got) != text {
			t.Errorf("length %d, %v: %d bytes, %v", size, err, len(got), readErr)
		}
	})
	other.Release()
	if err := other.Take(graphqlhttp.BodyPoolBytes); err != nil {
		t.Fatal(err)
	}
	contentType, form := formOf(t)
	memory := pool.Begin(principal.NewContext(t.Context(), principal.ForAccount("uploads", nil)))
	r := httptest.NewRequestWithContext(graphqlhttp.WithReservation(t.Context(), memory), http.MethodPost, "/graphql", strings.NewReader(form))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	multipartForm{limits: querylimit.Limits{}.WithDefaults()}.Do(w, r, nil)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v: %s", w.Code, w.Header(), w.Body)
	}
}
