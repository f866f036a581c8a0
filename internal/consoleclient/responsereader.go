package consoleclient

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/textfile"
)

// responseReader is a response body that is parsed while it arrives. It buffers only the value that is read in one step,
// which is one element of a list, or one buffer of them.
type responseReader struct {
	scanner // over the buffered bytes
	from    io.Reader
	pooled  *[]byte
	err     error // read error of from, other than io.EOF
	date    DateTime
	token   string // of the request; set for mutations, whose messages may repeat it

	maxElements int               // bounds the elements of a list; 0: not bounded
	before      int               // positions of a list before its page; a null list beyond the count is an empty page
	paged       bool              // whether a page of the list was requested
	memory      func(n int) error // takes memory for what is read; nil: it is not bounded
	objects     int               // bytes of objects for which no memory is taken yet
}

// objectsStep is how many bytes of objects are allocated before memory is taken for them.
const objectsStep = 64 << 10

// allocate takes memory for an object of that many bytes.
func (r *responseReader) allocate(bytes int) error {
	if r.objects += bytes; r.objects < objectsStep || r.memory == nil {
		return nil
	}
	taken := r.objects
	r.objects = 0
	return r.memory(taken)
}

// bufferBytes is the initial size of a response buffer. Buffers above maxPooledBuffer bytes do not return to the pool.
const (
	bufferBytes     = 64 << 10
	maxPooledBuffer = 512 << 10
)

// buffers is the pool of unused response buffers.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, bufferBytes)) }} //nolint:gochecknoglobals // shares memory only

// newResponseReader starts to read a response. The caller must call free at the end.
func newResponseReader(from io.Reader) *responseReader {
	reader := &responseReader{from: from, pooled: buffers.Get().(*[]byte)} //nolint:forcetypeassert // see buffers
	reader.in, reader.arena = (*reader.pooled)[:0], &arena{}
	return reader
}

// free returns the buffer to the pool. Slices of the buffer must not be used afterwards.
func (r *responseReader) free() {
	if cap(r.in) > maxPooledBuffer {
		return
	}
	*r.pooled = r.in[:0]
	r.in = nil
	buffers.Put(r.pooled)
}

// firstByte returns the first byte of the response that is not white space. It fails with io.EOF if there is none.
func (r *responseReader) firstByte() (byte, error) {
	var first byte
	err := r.withRefill(func() error {
		if first = r.peek(); first == 0 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if errors.Is(err, io.ErrUnexpectedEOF) && r.pos == len(r.in) {
		err = io.EOF
	}
	return first, err
}

// expectEnd fails with errSyntax if anything but white space follows, because the response is then not one JSON value.
func (r *responseReader) expectEnd() error {
	err := r.withRefill(func() error {
		if r.peek() == 0 {
			return io.ErrUnexpectedEOF
		}
		return errSyntax
	})
	if errors.Is(err, io.ErrUnexpectedEOF) && r.err == nil {
		return nil
	}
	return err
}

// withRefill calls read. If read reaches the end of the buffer, whole reads more and calls it again from the same
// position.
func (r *responseReader) withRefill(read func() error) error {
	start, depth := r.pos, r.depth
	for {
		err := read()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		more, broken := r.fill(start)
		if broken != nil {
			return broken
		}
		if !more {
			return err
		}
		start = 0
		r.pos, r.depth = start, depth
	}
}

// fill drops the bytes before start and reads until the buffer is full. It reports whether it read bytes or reached
// the end of the response.
func (r *responseReader) fill(start int) (more bool, err error) {
	if r.last {
		return false, r.err
	}
	held := r.in[start:]
	room := r.in[:cap(r.in)]
	if len(held) > cap(r.in)/2 {
		if err := r.allocate(2 * cap(r.in)); err != nil {
			return false, err
		}
		room = make([]byte, 2*cap(r.in))
	}
	r.in = room[:copy(room, held)]
	before := len(r.in)
	for idle := 0; len(r.in) < cap(r.in) && !r.last; {
		n, err := r.from.Read(r.in[len(r.in):cap(r.in)])
		r.in = r.in[:len(r.in)+n]
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case errors.Is(err, io.EOF):
			r.last = true
		case err != nil:
			r.last, r.err = true, err
		case idle == 100:
			r.last, r.err = true, io.ErrNoProgress
		}
	}
	if r.err != nil {
		return false, r.err // an incomplete value cannot be used
	}
	return len(r.in) > before || r.last, nil
}

// limitedReader reads at most left bytes of a response and removes a byte order mark. It records why reading ended
// early, which separates an invalid response from an incomplete one.
type limitedReader struct {
	r        io.Reader
	left     int64
	begun    bool
	tooLarge bool
	err      error             // read error of the connection, other than io.EOF
	memory   func(n int) error // takes memory for what is read; nil: it is not bounded
}

// textFactor is how many bytes of memory are taken for each byte of a response. Its texts are copied from the buffer.
const textFactor = 2

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.begun || len(p) < len(textfile.ByteOrderMark) {
		return l.read(p)
	}
	l.begun = true
	n, err := io.ReadAtLeast(readerFunc(l.read), p, len(textfile.ByteOrderMark))
	if errors.Is(err, io.ErrUnexpectedEOF) && l.err == nil {
		err = io.EOF // the response is short, not truncated
	}
	if bytes.HasPrefix(p[:n], []byte(textfile.ByteOrderMark)) {
		n = copy(p, p[len(textfile.ByteOrderMark):n])
	}
	return n, err
}

// readerFunc adapts a function to io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (l *limitedReader) read(p []byte) (int, error) {
	if l.tooLarge {
		return 0, errTooLarge
	}
	// One byte above the limit shows that the response is too large.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		l.tooLarge = true
		return int(l.left), errTooLarge
	}
	l.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	if n > 0 && l.memory != nil {
		if err := l.memory(textFactor * n); err != nil {
			return 0, err
		}
	}
	return n, err
}

var errTooLarge = errors.New("the answer is too large")

// dateOf returns the time of a response by its header; the given time if it has none.
func dateOf(h http.Header, received time.Time) DateTime {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		at = received.Truncate(time.Second)
	}
	return DateTime(at.UTC().Format(time.RFC3339))
}
