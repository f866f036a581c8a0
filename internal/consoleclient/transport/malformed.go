package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// ErrMalformed reports an answer that is not HTTP, as opposed to a connection that was lost.
var ErrMalformed = errors.New("the answer is not HTTP")

// malformedError is ErrMalformed with its cause.
type malformedError struct{ error }

// Is implements errors.Is.
func (*malformedError) Is(target error) bool { return target == ErrMalformed }

// Unwrap returns the cause.
func (e *malformedError) Unwrap() error { return e.error }

// isMalformed reports whether an answer of HTTP/1.1 that has begun could not be parsed. net/http does not export such errors.
// Any error counts that is not of the connection, its end, or the request's end.
func isMalformed(err error) bool {
	var network net.Error
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, context.Canceled), errors.Is(err, http.ErrBodyReadAfterClose), errors.As(err, &network):
		return false
	}
	return true
}

// describe returns the error of reading the body of an answer.
func (a *attempt) describe(err error) error {
	a.mu.Lock()
	http2 := a.http2
	a.mu.Unlock()
	if http2 || !isMalformed(err) {
		return err
	}
	return &malformedError{err}
}
