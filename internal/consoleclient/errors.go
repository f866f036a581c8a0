package consoleclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// Error is a call of the console that failed.
type Error struct {
	// Operation is the document's method and path: "GET /openapi/workflows/{workflowId}".
	Operation string
	// Status is the HTTP status of the answer, 0 where there was none.
	Status int
	// Title and Detail are the console's own words (RFC 7807 and its like), bounded, on one line and without a token. Title
	// is the status' text where it said nothing. Detail is empty where the status is 500 or above.
	Title, Detail string
	// Kind says what a caller can make of it.
	Kind fault.Code
	// RetryAfter is how long the console asks to be left alone, at most 5 minutes; 0 where it does not say.
	RetryAfter time.Duration
	// Foreign says that the answer is not the console's word but that of something before it, such as a proxy.
	Foreign bool
	// Empty says that the answer is the console's word and has no body: its status is about this call alone.
	Empty bool
	// Err is the cause, if there is one. Its text may name hosts and is not part of the error's.
	Err error
	// Unsent says that the request was not sent: no connection was had, or the console has asked to wait.
	Unsent bool
	// hidden is what the console said of its own failure, for the log.
	hidden string
	// oauth is what the SSO said in OAuth's words (RFC 6749, section 5.2), which are looked at and never told.
	oauth, oauthCode string
}

// Error says what failed, without host, query string or token.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Operation)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	for _, s := range []string{e.Title, e.Detail} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FaultCode returns Kind, for fault.CodeOf.
func (e *Error) FaultCode() fault.Code { return e.Kind }

// FaultOutcome says what became of a change that failed with e, for fault.OutcomeOf. Only the console's own word with a
// status of 400 to 499 whose meaning is known is its refusal: another one, such as 499, may be a proxy's that gave up
// after the console had begun.
func (e *Error) FaultOutcome() fault.Outcome {
	switch {
	case e.Unsent:
		return fault.NotSent
	case e.Foreign || e.Status < 400 || e.Status > 499:
		return fault.Unknown
	case e.Status == http.StatusMethodNotAllowed: // which means nothing to a caller, but enough here
		return fault.Refused
	case e.Kind == fault.UpstreamTimeout, e.Kind == fault.UpstreamUnavailable, e.Kind == fault.UpstreamInvalidResponse:
		return fault.Unknown
	default:
		return fault.Refused
	}
}

func kindOfStatus(status int) fault.Code {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return fault.BadUserInput
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusNotFound, http.StatusGone:
		return fault.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusLocked:
		return fault.Conflict
	case http.StatusTooManyRequests:
		return fault.RateLimited
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return fault.UpstreamTimeout
	}
	if status >= 500 {
		return fault.UpstreamUnavailable
	}
	return fault.UpstreamInvalidResponse
}

// retryAfter reads seconds, or a date relative to the answer's own (RFC 9110, section 10.2.3): at most maxRetryAfter, 0
// for none.
func retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds > int(maxRetryAfter/time.Second) { // more than an int holds
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(0, until.Sub(now)), maxRetryAfter)
}

// invalid makes an error of an answer that cannot be understood.
func invalid(operation string, status int, detail string, err error) *Error {
	return &Error{
		Operation: operation,
		Status:    status,
		Title:     "invalid response",
		Detail:    detail,
		Kind:      fault.UpstreamInvalidResponse,
		Err:       err,
	}
}

// connectionError makes an error of a request that got no answer, or not all of it. A call that its caller cancelled
// fails with context.Canceled, which is nobody's fault.
func connectionError(ctx context.Context, operation string, status int, unsent bool, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		err := fmt.Errorf("%s: %w", operation, context.Canceled)
		if unsent {
			return fault.WithOutcome(err, fault.NotSent)
		}
		return err
	}
	e := &Error{Operation: operation, Status: status, Title: "no answer", Detail: reason(err), Kind: fault.UpstreamUnavailable, Unsent: unsent, Err: err}
	var timeout interface{ Timeout() bool }
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		e.Kind, e.Title, e.Detail = fault.UpstreamTimeout, "timed out", ""
	}
	return e
}

// reason says what became of a connection in words that hold no address.
func reason(err error) string {
	var (
		dns   *net.DNSError
		cert  *tls.CertificateVerificationError
		errno syscall.Errno
	)
	switch {
	case errors.As(err, &dns):
		return "the host name was not found"
	case errors.As(err, &cert):
		return "the certificate is not trusted"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	}
	return "the connection failed"
}
