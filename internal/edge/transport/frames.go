package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/http"
	"sync/atomic"
)

// errLongMessage reports a message with more bytes than are taken.
var errLongMessage = errors.New("the message is too long")

// maxDiscarded bounds how much of a message is read after its refusal, in bytes. A client that is still sending when the
// connection closes gets a reset, and may lose the close frame.
const maxDiscarded = 4 << 20

// frameReader is the connection of a WebSocket. It refuses a message at the head of the frame that exceeds the limit
// (RFC 6455, section 5.2). The limit of coder/websocket counts the bytes that have arrived. No read crosses the end of a frame,
// so that the limit of a message is that of the time when it is read.
type frameReader struct {
	net.Conn
	in    *bufio.Reader
	limit atomic.Int64

	left      int64 // bytes of the present frame that were not read, with its head
	message   int64 // bytes of the frames of the present message
	ended     bool  // the present frame is the last one of its message
	refused   bool
	discarded int // bytes after the refusal
}

// Read reads bytes of one frame.
func (f *frameReader) Read(p []byte) (int, error) {
	if f.left == 0 && !f.refused {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if f.refused {
		return 0, f.discard()
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err //nolint:wrapcheck // the connection's
}

// next inspects the head of the next frame.
func (f *frameReader) next() error {
	const maskBytes = 4
	head, err := f.in.Peek(2)
	if err != nil {
		return err //nolint:wrapcheck // the connection's
	}
	final, opcode, length := head[0]&0x80 != 0, head[0]&0xf, uint64(head[1]&0x7f)
	size := 2
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if head, err = f.in.Peek(size); err != nil {
		return err //nolint:wrapcheck // the connection's
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		length = binary.BigEndian.Uint64(head[2:])
	}
	if isControl := opcode >= 8; !isControl {
		if f.ended {
			f.message = 0
		}
		f.ended = final
		if length > uint64(max(0, f.limit.Load()-f.message)) {
			f.refused = true
			return errLongMessage
		}
		f.message += int64(length)
	}
	// The library refuses a control frame of such a length, and a frame without a mask.
	f.left = int64(size) + maskBytes + int64(min(length, math.MaxInt32))
	return nil
}

// discard ends the connection for writing, after the close frame. It then reads and drops what follows a refused head, and
// returns an error at the end.
func (f *frameReader) discard() error {
	if c, ok := f.Conn.(interface{ CloseWrite() error }); ok && f.discarded == 0 {
		_ = c.CloseWrite() // the client may have left
	}
	for f.discarded < maxDiscarded {
		n, err := f.in.Discard(max(1, f.in.Buffered()))
		if f.discarded += n; err != nil {
			return err //nolint:wrapcheck // the connection's
		}
	}
	return errLongMessage
}

// frameHijacker lets a WebSocket read from a frameReader.
type frameHijacker struct {
	http.ResponseWriter
	frames *frameReader
}

// Hijack takes over the connection, as http.Hijacker.
func (h *frameHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, both, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // the server's
	}
	h.frames = &frameReader{Conn: conn, in: both.Reader, ended: true}
	const least = 16 // bufio's; the frameReader has the real buffer
	return h.frames, bufio.NewReadWriter(bufio.NewReaderSize(h.frames, least), both.Writer), nil
}
