package consoleclient

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// answer is what a call is answered with, read as it arrives: of it, no more is held than a part that is read in one go,
// which is an element of a list, or a buffer's size of them.
type answer struct {
	scanner // over the bytes that are held
	from    io.Reader
	pooled  *[]byte
	err     error // other than io.EOF, of from
}

// The buffer of an answer begins with bufferBytes, and is kept for other answers unless it had to become larger than
// bufferKept.
const (
	bufferBytes = 64 << 10
	bufferKept  = 512 << 10
)

// buffers are those that no answer uses.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, bufferBytes)) }} //nolint:gochecknoglobals // nothing but memory is shared

// newAnswer begins to read an answer; free must be called at its end.
func newAnswer(from io.Reader) *answer {
	a := &answer{from: from, pooled: buffers.Get().(*[]byte)} //nolint:forcetypeassert // see buffers
	a.in, a.arena = (*a.pooled)[:0], &arena{}
	return a
}

// free gives the buffer back: nothing of it may be used any more.
func (a *answer) free() {
	if cap(a.in) > bufferKept {
		return
	}
	*a.pooled = a.in[:0]
	a.in = nil
	buffers.Put(a.pooled)
}

// begins gives the first byte of the answer; it fails with io.EOF where there is none.
func (a *answer) begins() (byte, error) {
	var first byte
	err := a.whole(func() error {
		if first = a.peek(); first == 0 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if errors.Is(err, io.ErrUnexpectedEOF) && a.at == len(a.in) {
		err = io.EOF
	}
	return first, err
}

// ends fails with errSyntax where more than white space follows: then the answer is not one JSON value.
func (a *answer) ends() error {
	err := a.whole(func() error {
		if a.peek() == 0 {
			return io.ErrUnexpectedEOF
		}
		return errSyntax
	})
	if errors.Is(err, io.ErrUnexpectedEOF) && a.err == nil {
		return nil
	}
	return err
}

// whole calls read, and again from the same place with more of the answer where it came to the end of what is held.
func (a *answer) whole(read func() error) error {
	start, depth := a.at, a.depth
	for {
		err := read()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		more, broken := a.fill(start)
		if broken != nil {
			return broken
		}
		if !more {
			return err
		}
		start = 0
		a.at, a.depth = start, depth
	}
}

// fill reads on until the buffer is full, having left in it only what begins at start. It says whether anything came, be it the end.
func (a *answer) fill(start int) (more bool, err error) {
	if a.last {
		return false, a.err
	}
	held := a.in[start:]
	room := a.in[:cap(a.in)]
	if len(held) > cap(a.in)/2 {
		room = make([]byte, 2*cap(a.in))
	}
	a.in = room[:copy(room, held)]
	before := len(a.in)
	for idle := 0; len(a.in) < cap(a.in) && !a.last; {
		n, err := a.from.Read(a.in[len(a.in):cap(a.in)])
		a.in = a.in[:len(a.in)+n]
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case errors.Is(err, io.EOF):
			a.last = true
		case err != nil:
			a.last, a.err = true, err
		case idle == 100:
			a.last, a.err = true, io.ErrNoProgress
		}
	}
	if a.err != nil {
		return false, a.err // what has come before is of no use without the rest
	}
	return len(a.in) > before || a.last, nil
}

// limitedReader gives at most max bytes of an answer, without a byte order mark before them, and remembers why reading ended early: that tells an answer that
// cannot be decoded from one that did not arrive.
type limitedReader struct {
	r        io.Reader
	left     int64
	begun    bool
	tooLarge bool
	err      error // of the connection, other than io.EOF
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.begun || len(p) < len(bom) {
		return l.read(p)
	}
	l.begun = true
	n, err := io.ReadAtLeast(readerFunc(l.read), p, len(bom))
	if errors.Is(err, io.ErrUnexpectedEOF) && l.err == nil {
		err = io.EOF // of a short answer, rather than of one that was cut off
	}
	if bytes.HasPrefix(p[:n], []byte(bom)) {
		n = copy(p, p[len(bom):n])
	}
	return n, err
}

// readerFunc is a function as a reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (l *limitedReader) read(p []byte) (int, error) {
	if l.tooLarge {
		return 0, errTooLarge
	}
	// One byte more than allowed shows that there is more.
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
	return n, err
}

var errTooLarge = errors.New("the answer is too large")
