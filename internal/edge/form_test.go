package edge

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/consoleql/consoleql/graph/scalar"
)

// TestNoLengthIsReachedByAnother: who is told a length and gets as many bytes takes a file
// for complete, so of one that is longer or shorter not as many may come.
func TestNoLengthIsReachedByAnother(t *testing.T) {
	const text = "0123456789"
	for name, read := range map[string]func(io.Reader) io.Reader{
		"at once":              func(r io.Reader) io.Reader { return r },
		"byte by byte":         iotest.OneByteReader,
		"its end with it":      iotest.DataErrReader,
		"byte by byte, as one": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	} {
		for size := int64(1); size < 13; size++ {
			got, err := io.ReadAll(&fromClient{file: read(strings.NewReader(text)), size: size})
			if size == int64(len(text)) {
				if err != nil || string(got) != text {
					t.Errorf("%s: %q, %v", name, got, err)
				}
				continue
			}
			if !errors.Is(err, scalar.ErrLength) || int64(len(got)) >= size {
				t.Errorf("%s, told %d: %d bytes and %v", name, size, len(got), err)
			}
		}
		if got, err := io.ReadAll(&fromClient{file: read(strings.NewReader(text)), size: -1}); err != nil || string(got) != text {
			t.Errorf("%s, told nothing: %q, %v", name, got, err)
		}
	}
}
