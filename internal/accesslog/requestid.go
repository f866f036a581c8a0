package accesslog

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
)

// HeaderRequestID names a request, in the request and in its response. It is in canonical form.
const HeaderRequestID = "X-Request-Id"

// maxID bounds the id of a request that a caller gives, in bytes.
const maxID = 64

// requestID returns the id that the values of the header give, or else a new one.
func requestID(values []string) string {
	if len(values) == 1 && isID(values[0]) {
		return values[0]
	}
	return newID()
}

// isID reports whether s is an id of 1 to 64 letters, digits, dots, underscores and hyphens. Others could forge lines of
// logs.
func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// newID returns a random id of 128 bits. It need not be secret.
func newID() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], rand.Uint64()) //nolint:gosec // protects no secret
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64()) //nolint:gosec // protects no secret
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:])
}

// RequestID returns the id of the request in ctx; empty if there is none.
func RequestID(ctx context.Context) string {
	if e := FromContext(ctx); e != nil {
		return e.id
	}
	return ""
}

// Handler adds the id of the request in the context to each line of a log, as request_id.
type Handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h Handler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r = r.Clone() // handlers may share it
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // the handler's
}

// WithAttrs implements slog.Handler.
func (h Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return Handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h Handler) WithGroup(name string) slog.Handler { return Handler{h.Handler.WithGroup(name)} }
