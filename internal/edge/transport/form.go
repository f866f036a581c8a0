package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// form reads a multipart form part by part, its files when they are asked for.
type form struct {
	*multipart.Reader
	boundary string
	length   int64           // of the request, -1 where it does not say
	files    map[string]bool // the parts that are files by the form's map
	parts    int             // that have begun
	opened   int
	// begun is what has been read up to the first file, until that has been found.
	begun *recorder
}

// recorder keeps what is read through it, up to a bound: what comes before a form's first
// boundary and in the headers of its parts is as long as the client likes.
type recorder struct {
	io.Reader
	kept bytes.Buffer
	most int64
	off  bool
}

// Read reads on.
func (r *recorder) Read(p []byte) (int, error) {
	if r.off {
		return r.Reader.Read(p)
	}
	if int64(r.kept.Len()) >= r.most {
		return 0, fault.BadInput("", "more than %d bytes come before the first file", r.most)
	}
	n, err := r.Reader.Read(p)
	r.kept.Write(p[:n])
	return n, err
}

// newForm begins to read a form. It has at most so many bytes before its first file.
func newForm(r *http.Request, most int64) (*form, error) {
	_, parameters, err := graphqlhttp.ParseMediaType(r.Header.Get("Content-Type"))
	boundary := parameters["boundary"]
	if err != nil || boundary == "" {
		return nil, fault.BadInput("", "the Content-Type names no boundary of the multipart form")
	}
	begun := &recorder{Reader: r.Body, most: most}
	return &form{Reader: multipart.NewReader(begun, boundary), boundary: boundary, length: r.ContentLength, begun: begun}, nil
}

// NextPart begins the next part.
func (f *form) NextPart() (*multipart.Part, error) {
	part, err := f.Reader.NextPart()
	if err == nil {
		f.parts++
	}
	return part, err //nolint:wrapcheck // the callers say what it is
}

// isField says whether a part is neither a file nor one of the two that make an operation.
func isField(part *multipart.Part) bool {
	return part.FileName() == "" && part.FormName() != "operations" && part.FormName() != "map"
}

// checkTransferEncoding refuses a part whose content is encoded for its transport. The multipart
// reader decodes quoted-printable itself.
func checkTransferEncoding(part *multipart.Part) error {
	switch encoding := strings.TrimSpace(part.Header.Get("Content-Transfer-Encoding")); strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return nil
	default:
		return fault.BadInput(part.FormName(), "has the Content-Transfer-Encoding %q: send its bytes as they are", graphqlhttp.Truncate(encoding))
	}
}

// upload is the file of the part name, still to come.
func (f *form) upload(name string) scalar.Upload {
	u := scalar.Upload{AtMost: f.length}
	u.Open = func() (scalar.File, error) {
		part, err := f.nextFile()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fault.BadInput("map", "file %q did not come", name)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", scalar.ErrRead, err)
		case part.FormName() != name:
			return nil, fault.BadInput("map", "file %q has to come before file %q, in the order of their use", name, part.FormName())
		}
		if err := checkTransferEncoding(part); err != nil {
			return nil, err
		}
		f.opened++
		file := &fromClient{file: part, size: lengthOf(part), expected: -1}
		if len(f.files) == 1 && f.opened == 1 {
			file.expected = f.sizeOfFirst()
		}
		f.begun.off, f.begun.kept = true, bytes.Buffer{}
		return file, nil
	}
	return u
}

// nextFile is the next part that the map names. Other parts are skipped.
func (f *form) nextFile() (*multipart.Part, error) {
	for {
		part, err := f.NextPart()
		if err != nil || f.files[part.FormName()] {
			return part, err //nolint:wrapcheck // upload says what it is
		}
	}
}

// lengthOf is the length of a part's content that the part itself names, else -1.
func lengthOf(part *multipart.Part) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(part.Header.Get("Content-Length")), 10, 63)
	if err != nil {
		return -1
	}
	return int64(n) // it has 63 bits
}

// sizeOfFirst is the length of the first file, if it is the last part as well:
// what the request has left, without the delimiter that ends the form and its line break.
// -1 where that is not known. It is not certain: parts may follow, and clients leave the
// line break out (undici before 6.29 and 7).
func (f *form) sizeOfFirst() int64 {
	if f.length < 0 {
		return -1
	}
	raw, at := f.begun.kept.Bytes(), 0
	delimiter := []byte("--" + f.boundary)
	for range f.parts {
		i := bytes.Index(raw[at:], delimiter)
		if i < 0 {
			return -1
		}
		at += i + len(delimiter)
		headers := bytes.Index(raw[at:], []byte("\r\n\r\n"))
		if headers < 0 {
			return -1
		}
		at += headers + len("\r\n\r\n")
	}
	end := len("\r\n--") + len(f.boundary) + len("--\r\n")
	return max(-1, f.length-int64(at)-int64(end))
}

// maxHeld is how many bytes of a file are read ahead to find out how long it is.
const maxHeld = 2 << 20

// fromClient is a file of a form. It marks what goes wrong with the client's side of a
// stream, a length that turns out another than the one that was passed on among it.
type fromClient struct {
	file     io.Reader
	size     int64 // that the reader counts on; -1: unknown
	expected int64 // if the form ends with the file; -1: unknown
	read     int64

	failed atomic.Pointer[error]
}

// Declare implements scalar.File.
func (r *fromClient) Declare(size int64) error {
	switch {
	case r.size >= 0 && r.size != size:
		return fmt.Errorf("is not the %d bytes of the part's Content-Length", r.size)
	case r.expected >= 0 && size > r.expected+int64(len("\r\n")): // some clients end the form without a line break
		return errors.New("is more than the request's Content-Length leaves for the file")
	}
	r.size = size
	return nil
}

// Length implements scalar.File: it is the part's own word, or that of a short file.
func (r *fromClient) Length() (int64, error) {
	if r.size >= 0 {
		return r.size, nil
	}
	var held bytes.Buffer
	_, err := io.CopyN(&held, r.file, maxHeld)
	switch {
	case errors.Is(err, io.EOF):
		r.size = int64(held.Len())
		r.file = &held
	case err != nil:
		return -1, r.fail(fmt.Errorf("%w: %w", scalar.ErrRead, err))
	default:
		r.file = io.MultiReader(&held, r.file)
	}
	return r.size, nil
}

// Expect implements scalar.File.
func (r *fromClient) Expect() int64 {
	if r.size < 0 {
		r.size = r.expected
	}
	return r.size
}

// Err implements scalar.File.
func (r *fromClient) Err() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail keeps the first error.
func (r *fromClient) fail(err error) error {
	r.failed.CompareAndSwap(nil, &err)
	return err
}

// Read reads on. Of a file whose length was passed on, the last bytes are held back until
// it is certain that it ends with them: who was told the length takes the file for
// complete as soon as it has that many.
func (r *fromClient) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	r.read += int64(n)
	if r.size >= 0 && r.read == r.size && err == nil && n > 0 {
		err = r.end()
	}
	ended := errors.Is(err, io.EOF)
	switch {
	case err != nil && (!ended || errors.Is(err, io.ErrUnexpectedEOF)):
		return 0, r.fail(fmt.Errorf("%w: %w", scalar.ErrRead, err))
	case r.size >= 0 && (r.read > r.size || ended && r.read < r.size):
		return 0, r.fail(scalar.ErrLength)
	}
	return n, err
}

// end is io.EOF where nothing more comes, and counts what does.
func (r *fromClient) end() error {
	var more [1]byte
	for {
		n, err := r.file.Read(more[:])
		if r.read += int64(n); n > 0 {
			return nil // the file is too long, as its count says
		}
		if err != nil {
			return err
		}
	}
}
