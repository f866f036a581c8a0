package edge

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyTimeout bounds how long a client may take to send the next piece of a
// request's body. Without it one that stops in the middle would hold its
// connection for ever, and a gateway that is to stop.
const bodyTimeout = 30 * time.Second

// readDeadline bounds how long the server waits for a body that nobody reads, which it
// does before it answers, to leave the connection usable.
func readDeadline(limit time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // not every connection has one
			}
			next.ServeHTTP(w, r)
		})
	}
}

// idleTimeout reads a body of which no piece takes longer than limit, or a tenth less. How
// long the whole takes, an upload of hours, is not its matter.
func idleTimeout(w http.ResponseWriter, body io.ReadCloser, limit time.Duration) io.ReadCloser {
	if body == nil || body == http.NoBody {
		return body
	}
	return &idleTimeoutBody{ReadCloser: body, connection: http.NewResponseController(w), limit: limit}
}

type idleTimeoutBody struct {
	io.ReadCloser
	connection *http.ResponseController
	limit      time.Duration
	set        time.Time // when the connection's deadline was
}

// Read waits for the next piece. At the end the deadline is lifted: from then on
// the server reads only to notice that the client has gone. It stays where the body has
// not come to its end, as the server will read on.
func (b *idleTimeoutBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.set) > b.limit/10 {
		b.set = now
		_ = b.connection.SetReadDeadline(now.Add(b.limit)) // not every connection has one
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}

const (
	// lingerTime and lingerBytes bound what is read of a body after its refusal.
	lingerTime  = 2 * time.Second
	lingerBytes = 4 << 20
)

// linger sends what was answered and then reads the rest of the body, which it drops. A client that is still writing when
// the connection closes gets a reset, and may never see the answer.
func linger(w http.ResponseWriter, body io.Reader) {
	connection := http.NewResponseController(w)
	if connection.Flush() != nil || connection.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return // not every connection can
	}
	_, _ = io.CopyN(io.Discard, body, lingerBytes) // whoever goes away, or is too slow, has had the answer
}
