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

// form reads a multipart form part by part, and each file only when it is needed.
type form struct {
	*multipart.Reader
	boundary string
	length   int64          // of the request; -1: unknown
	files    map[string]int // places of the files in the order of their use, by name; 0: unused
	parts    int            // parts read so far
	opened   int
	// misplaced is the error of the first file that came too early. Files cannot be read after it.
	misplaced error
	// begun is the part of the request that was read up to the first file, until that file is
	// found.
	begun *recorder
	// memory counts the bytes of the request that are held.
	memory *graphqlhttp.Reservation
}

// recorder records what is read through it, up to a bound. A client may send any amount before
// a form's first boundary and in the headers of its parts.
type recorder struct {
	io.Reader
	recorded bytes.Buffer
	memory   *graphqlhttp.Reservation // counts the capacity of recorded
	most     int64
	off      bool
}

// Read reads the next bytes.
func (r *recorder) Read(p []byte) (int, error) {
	if r.off {
		return r.Reader.Read(p)
	}
	if int64(r.recorded.Len()) >= r.most {
		return 0, fault.BadInput("", "more than %d bytes come before the first file", r.most)
	}
	n, err := r.Reader.Read(p)
	before := r.recorded.Cap()
	r.recorded.Write(p[:n])
	if busy := r.memory.Take(r.recorded.Cap() - before); busy != nil {
		return 0, busy //nolint:wrapcheck // the callers describe it
	}
	return n, err
}

// stop ends the recording, and drops what was recorded.
func (r *recorder) stop() {
	r.memory.Return(r.recorded.Cap())
	r.off, r.recorded = true, bytes.Buffer{}
}

// newForm starts to read a form that has at most so many bytes before its first file.
func newForm(r *http.Request, most int64) (*form, error) {
	_, parameters, err := graphqlhttp.ParseMediaType(r.Header.Get("Content-Type"))
	boundary := parameters["boundary"]
	if err != nil || boundary == "" {
		return nil, fault.BadInput("", "the Content-Type names no boundary of the multipart form")
	}
	memory := graphqlhttp.ReservationOf(r.Context())
	begun := &recorder{Reader: r.Body, memory: memory, most: most}
	return &form{Reader: multipart.NewReader(begun, boundary), boundary: boundary, length: r.ContentLength, begun: begun, memory: memory}, nil
}

// NextPart returns the next part.
func (f *form) NextPart() (*multipart.Part, error) {
	part, err := f.Reader.NextPart()
	if err == nil {
		f.parts++
	}
	return part, err //nolint:wrapcheck // the callers describe it
}

// isField reports whether a part is neither a file nor one of `operations` and `map`.
func isField(part *multipart.Part) bool {
	return part.FileName() == "" && part.FormName() != "operations" && part.FormName() != "map"
}

// checkTransferEncoding refuses a part with a Content-Transfer-Encoding. The multipart reader
// decodes quoted-printable itself.
func checkTransferEncoding(part *multipart.Part) error {
	switch encoding := strings.TrimSpace(part.Header.Get("Content-Transfer-Encoding")); strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return nil
	default:
		return fault.BadInput(part.FormName(), "has the Content-Transfer-Encoding %q: send its bytes as they are", graphqlhttp.Truncate(encoding))
	}
}

// upload returns the file of the part name, which is still to be read.
func (f *form) upload(name string) scalar.Upload {
	u := scalar.Upload{Name: name, AtMost: f.length}
	u.Open = func() (scalar.File, error) {
		if f.misplaced != nil {
			return nil, f.misplaced
		}
		part, err := f.nextFile(name)
		switch {
		case errors.Is(err, io.EOF):
			return nil, fault.BadInput("map", "file %q did not come", name)
		case errors.Is(err, graphqlhttp.ErrBusy):
			return nil, errNoMemory()
		case err != nil:
			return nil, fmt.Errorf("%w: %w", scalar.ErrRead, err)
		case part.FormName() != name:
			f.misplaced = fault.BadInput("map", "file %q has to come before file %q, in the order of their use", name, part.FormName())
			return nil, f.misplaced
		}
		if err := checkTransferEncoding(part); err != nil {
			return nil, err
		}
		f.opened++
		file := &formFile{file: part, memory: f.memory, size: lengthOf(part), expected: -1}
		if len(f.files) == 1 && f.opened == 1 {
			file.expected = f.sizeOfFirst()
		}
		f.begun.stop()
		return file, nil
	}
	return u
}

// nextFile returns the next part that is the named file or a later one. It skips other parts, and files that will not be
// read any more.
func (f *form) nextFile(name string) (*multipart.Part, error) {
	for {
		part, err := f.NextPart()
		if err != nil {
			return nil, err //nolint:wrapcheck // upload describes it
		}
		if i, isFile := f.files[part.FormName()]; isFile && i >= f.files[name] {
			return part, nil
		}
	}
}

// lengthOf returns the Content-Length of a part; -1: it has none.
func lengthOf(part *multipart.Part) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(part.Header.Get("Content-Length")), 10, 63)
	if err != nil {
		return -1
	}
	return int64(n) // parsed with 63 bits
}

// sizeOfFirst returns the length of the first file if it is also the last part; -1: unknown.
// It subtracts the closing delimiter and its line break from the rest of the request. The
// result is an estimate: parts may follow, and some clients omit the line break (undici before
// 6.29 and 7).
func (f *form) sizeOfFirst() int64 {
	if f.length < 0 {
		return -1
	}
	raw, at := f.begun.recorded.Bytes(), 0
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

const (
	// maxReadAhead is how many bytes of a file are read ahead to determine its length.
	maxReadAhead = 2 << 20
	// chunkBytes is the size of the pieces in which they are held.
	chunkBytes = 64 << 10
)

// errNoMemory is ErrBusy for the field that uses a file.
func errNoMemory() *fault.Error {
	return fault.Busy("the gateway holds as many requests as it can: send this one again")
}

// readAhead holds the first bytes of a file until they are read. The request's reservation counts them.
type readAhead struct {
	memory *graphqlhttp.Reservation
	chunks [][]byte
	length int64 // of the chunks as they were filled
}

// fill reads up to maxReadAhead bytes. It returns io.EOF if the file has no more, and ErrBusy if there is no memory.
func (a *readAhead) fill(file io.Reader) error {
	for a.length < maxReadAhead {
		if err := a.memory.Take(chunkBytes); err != nil {
			return err //nolint:wrapcheck // Length describes it
		}
		chunk, read := make([]byte, chunkBytes), 0
		var err error
		for read < chunkBytes && err == nil {
			var n int
			n, err = file.Read(chunk[read:])
			read += n
		}
		a.chunks, a.length = append(a.chunks, chunk[:read]), a.length+int64(read)
		if err != nil {
			return err //nolint:wrapcheck // Length describes it
		}
	}
	return nil
}

// Read reads the next bytes, and returns each chunk to the pool once it is read.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.chunks) > 0 {
		if n := copy(p, a.chunks[0]); n > 0 || len(p) == 0 {
			a.chunks[0] = a.chunks[0][n:]
			return n, nil
		}
		a.chunks = a.chunks[1:]
		a.memory.Return(chunkBytes)
	}
	return 0, io.EOF
}

// formFile is a file of a form. It marks errors of the client's stream, such as a length
// that differs from the declared one.
type formFile struct {
	file     io.Reader
	memory   *graphqlhttp.Reservation // counts what is read ahead
	size     int64                    // the length passed on to the reader; -1: unknown
	expected int64                    // the length if the form ends with the file; -1: unknown
	read     int64

	failed atomic.Pointer[error]
}

// Declare implements scalar.File.
func (f *formFile) Declare(size int64) error {
	switch {
	case f.size >= 0 && f.size != size:
		return fmt.Errorf("is not the %d bytes of the part's Content-Length", f.size)
	case f.expected >= 0 && size > f.expected+int64(len("\r\n")): // some clients end the form without a line break
		return errors.New("is more than the request's Content-Length leaves for the file")
	}
	f.size = size
	return nil
}

// Length implements scalar.File. It returns the part's declared length, or the length of a
// short file. Without memory to read ahead, a file of an expected length goes on without a certain one.
func (f *formFile) Length() (int64, error) {
	if f.size >= 0 {
		return f.size, nil
	}
	held := &readAhead{memory: f.memory}
	err := held.fill(f.file)
	busy := errors.Is(err, graphqlhttp.ErrBusy)
	switch {
	case errors.Is(err, io.EOF):
		f.size, f.file = held.length, held
		return f.size, nil
	case busy && f.expected < 0:
		return -1, f.fail(errNoMemory())
	case err != nil && !busy:
		return -1, f.fail(fmt.Errorf("%w: %w", scalar.ErrRead, err))
	}
	f.file = io.MultiReader(held, f.file)
	return -1, nil
}

// Expect implements scalar.File.
func (f *formFile) Expect() int64 {
	if f.size < 0 {
		f.size = f.expected
	}
	return f.size
}

// Err implements scalar.File.
func (f *formFile) Err() error {
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail records the first error.
func (f *formFile) fail(err error) error {
	f.failed.CompareAndSwap(nil, &err)
	return err
}

// Read reads the next bytes. If the length was passed on, Read delays the last bytes until the
// end of the file is certain. A receiver that knows the length takes the file as complete at
// that length.
func (f *formFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	f.read += int64(n)
	if f.size >= 0 && f.read == f.size && err == nil && n > 0 {
		err = f.end()
	}
	ended := errors.Is(err, io.EOF)
	switch {
	case err != nil && (!ended || errors.Is(err, io.ErrUnexpectedEOF)):
		return 0, f.fail(fmt.Errorf("%w: %w", scalar.ErrRead, err))
	case f.size >= 0 && (f.read > f.size || ended && f.read < f.size):
		return 0, f.fail(scalar.ErrLength)
	}
	return n, err
}

// end returns io.EOF at the end of the file, and counts the bytes that follow.
func (f *formFile) end() error {
	var more [1]byte
	for {
		n, err := f.file.Read(more[:])
		if f.read += int64(n); n > 0 {
			return nil // the count shows that the file is too long
		}
		if err != nil {
			return err
		}
	}
}
