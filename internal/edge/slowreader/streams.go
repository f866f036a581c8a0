package slowreader

import (
	"net/http"
	"os"
	"sync"
	"time"
)

// Streams returns a middleware that bounds the writes of answers where their connection sees only a part of them. That
// is so over HTTP/2, where streams share it, and over TLS. A client that does not read would hold its answer.
func Streams(l *Limiter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 || r.TLS != nil {
				w = &streamWriter{ResponseWriter: w, control: http.NewResponseController(w), limiter: l}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// streamWriter writes an answer to a stream of HTTP/2 or a connection with TLS.
type streamWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limiter *Limiter
	reader  Reader

	mu      sync.Mutex
	writing bool // a write is in progress, so that the stream exists
	cut     bool // the limiter has ended the writes
}

// Write writes p in pieces. Each may take as long as a slow client needs.
func (w *streamWriter) Write(p []byte) (int, error) {
	answer := w.limiter.Begin(p, &w.reader, w.endWrite)
	defer answer.End()
	for written := 0; ; {
		n, err := w.bounded(min(MaxWriteBytes, len(p)-written), func() (int, error) {
			return w.ResponseWriter.Write(p[written:min(written+MaxWriteBytes, len(p))])
		})
		if written += n; err != nil || written == len(p) {
			return written, err
		}
		answer.Progress()
	}
}

// Flush sends what was written, as http.Flusher.
func (w *streamWriter) Flush() { _ = w.FlushError() }

// FlushError sends what was written, as http.ResponseController.Flush.
func (w *streamWriter) FlushError() error {
	_, err := w.bounded(MaxWriteBytes, func() (int, error) { return 0, w.control.Flush() })
	return err
}

// bounded calls write within the time that a slow client needs to read that many bytes. The deadline does not outlast
// the write: it would end a quiet stream.
func (w *streamWriter) bounded(size int, write func() (int, error)) (int, error) {
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return 0, os.ErrDeadlineExceeded
	}
	w.writing = true
	_ = w.control.SetWriteDeadline(time.Now().Add(WriteTime(size))) // streams support deadlines
	w.mu.Unlock()
	n, err := write()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = false
	if !w.cut {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
	return n, err
}

// endWrite ends the write in progress and all that follow.
func (w *streamWriter) endWrite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	if w.writing {
		_ = w.control.SetWriteDeadline(time.Unix(1, 0)) // the write returns the error
	}
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
