package edge

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// drainTime and lingerBytes bound what is read of a body after its refusal.
	drainTime  = 2 * time.Second
	drainBytes = 4 << 20
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
			graphqlhttp.WriteError(w, r, http.StatusRequestEntityTooLarge, fault.BadInput("", "the request body has %d bytes, more than the %d that are taken", r.ContentLength, limit))
			drain(w, r.Body)
			return
		}
		r.Body = http.MaxBytesReader(w, idleTimeout(w, r.Body, bodyTimeout), limit)
		next.ServeHTTP(w, r)
	})
}

// isEncoded says whether a body has a content coding (RFC 9110, section 8.4).
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

// drain sends what was answered and then reads the rest of the body, which it drops. A client that is still writing when
// the connection closes gets a reset, and may never see the answer.
func drain(w http.ResponseWriter, body io.Reader) {
	connection := http.NewResponseController(w)
	if connection.Flush() != nil || connection.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return // not every connection can
	}
	_, _ = io.CopyN(io.Discard, body, drainBytes) // whoever goes away, or is too slow, has had the answer
}
