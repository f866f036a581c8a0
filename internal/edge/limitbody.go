package edge

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// lingerTime and lingerBytes bound how much of a body is read after its refusal.
	lingerTime  = 2 * time.Second
	lingerBytes = 4 << 20
)

// limitBody limits the size of the request body.
func (s *server) limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isEncoded(r.Header) {
			w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 12.5.3
			graphqlhttp.WriteError(w, r, http.StatusUnsupportedMediaType, fault.BadInput("Content-Encoding", "is not taken: send the body as it is"))
			return
		}
		if status, err := graphqlhttp.CheckContentType(r); err != nil {
			graphqlhttp.WriteError(w, r, status, err)
			return
		}
		limit := s.opts.Limits.BodyLimit(r)
		if r.ContentLength > limit {
			graphqlhttp.RefuseUnread(w, r, http.StatusRequestEntityTooLarge, fault.BadInput("", "the request body has %d bytes, more than the %d that are taken", r.ContentLength, limit))
			linger(w, r, r.Body, true)
			return
		}
		body := r.Body
		limited := &limitedBody{ReadCloser: http.MaxBytesReader(w, idleTimeout(w, body, bodyTimeout), limit)}
		r.Body = limited
		next.ServeHTTP(w, r)
		if limited.unread.Load() || limited.refused {
			linger(w, r, body, limited.refused)
		}
	})
}

// limitedBody notes whether a body was read in part only, and that its request is refused.
type limitedBody struct {
	io.ReadCloser
	refused bool
	unread  atomic.Bool // an upload that has ended may still read
}

// Refuse notes that the request is refused. See graphqlhttp.RefuseUnread.
func (b *limitedBody) Refuse() { b.refused = true }

// Read reads on, up to the limit.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.unread.Store(!errors.Is(err, io.EOF))
	return n, err
}

// isEncoded reports whether a body has a content coding (RFC 9110, section 8.4).
func isEncoded(h http.Header) bool {
	for _, value := range h.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// countBody counts the bytes of each request.
func (s *server) countBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := s.bodies.Begin(r.Context())
		defer h.Release()
		next.ServeHTTP(w, r.WithContext(graphqlhttp.WithReservation(r.Context(), h)))
	})
}

const (
	// rateWindow is the time of waiting for a client after which its rate is checked.
	rateWindow = 30 * time.Second
	// minRate is the lowest rate, in bytes per second of waiting, at which a client may send a body.
	minRate = 4 << 10
)

// errSlowBody reports a client that sends its body too slowly.
var errSlowBody = fault.BadInput("", "the request body comes at less than %d bytes per second", minRate)

// idleTimeout returns a body for which no read takes longer than limit, and whose client sends at
// the least rate. It does not bound the time of the whole body, since an upload may take hours.
// The time in which nobody reads, as when the console is slow, does not count.
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
	set        time.Time // when the deadline was set

	waited   time.Duration // for the client, since the last check of its rate
	received int           // bytes in that time
}

// Read waits for the next piece. At the end of the body it removes the deadline, since the
// server then reads only to detect a closed connection. It keeps the deadline if the body has
// not ended.
func (b *idleTimeoutBody) Read(p []byte) (int, error) {
	now := time.Now()
	if now.Sub(b.set) > b.limit/10 {
		b.set = now
		_ = b.connection.SetReadDeadline(now.Add(b.limit)) // not every connection supports deadlines
	}
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(now)
	b.received += n
	switch {
	case errors.Is(err, io.EOF):
		_ = b.connection.SetReadDeadline(time.Time{})
	case err == nil && b.waited >= rateWindow:
		if b.received < int(rateWindow/time.Second)*minRate {
			return n, errSlowBody
		}
		b.waited, b.received = 0, 0
	}
	return n, err
}

// linger sends the answer, then reads and drops the rest of the body for a while. A client that is still writing when the
// connection closes gets a reset, and may lose the answer (RFC 9112, section 9.6). If the answer is complete, the connection is
// closed for writing, so that the client does not wait for the end. The server of HTTP/2 resets the stream instead.
func linger(w http.ResponseWriter, r *http.Request, body io.Reader, complete bool) {
	connection := http.NewResponseController(w)
	if r.ProtoMajor > 1 || connection.Flush() != nil || connection.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return // not every connection supports deadlines
	}
	if c, ok := r.Context().Value(connKey{}).(halfCloser); ok && complete {
		_ = c.CloseWrite() // the client may have left
	}
	_, _ = io.CopyN(io.Discard, body, lingerBytes) // the client has its answer already
}
