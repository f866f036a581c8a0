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

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
)

// Error is a failed call of the console.
type Error struct {
	// Operation is the document's method and path: "GET /openapi/workflows/{workflowId}".
	Operation string
	// Status is the HTTP status of the response, 0 if there was none.
	Status int
	// Title and Detail are the console's own text (RFC 7807 and similar formats), bounded, on one line and without a
	// token. Title is the text of the status if the console sends none. Detail is empty for status 500 and above.
	Title, Detail string
	// Code is the error code for callers.
	Code fault.Code
	// RetryAfter is the wait that the console asks for, at most 5 minutes; 0 if it asks for none.
	RetryAfter time.Duration
	// FromIntermediary reports that an intermediary such as a proxy wrote the response.
	FromIntermediary bool
	// Empty reports that the console wrote the response and it has no body. Its status then concerns this call only.
	Empty bool
	// Err is the cause, or nil. Its text may name hosts, so Error leaves it out.
	Err error
	// Unsent reports that the request was not sent: there was no connection, or the console had asked to wait.
	Unsent bool
	// detail is the console's detail of its own failure, for the log only.
	detail string
	// oauth is the SSO's OAuth error (RFC 6749, section 5.2). It is inspected and never shown.
	oauth, oauthCode string
}

// Error returns a message without host, query string or token.
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

// AskedToWait reports whether the console asked to wait, by this response or an earlier one.
func (e *Error) AskedToWait() bool {
	if refused, ok := errors.AsType[*admission.RefusedError](e.Err); ok {
		return refused.Reason == admission.Paused
	}
	return e.RetryAfter > 0
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FaultCode returns Code, for fault.CodeOf.
func (e *Error) FaultCode() fault.Code { return e.Code }

// FaultOutcome returns the outcome of a mutation that failed with e, for fault.OutcomeOf. Only a known status of 400
// to 499 in the console's own response is a refusal. An unknown one, such as 499, may come from a proxy that gave up
// after the console had started.
func (e *Error) FaultOutcome() fault.Outcome {
	switch {
	case e.Unsent:
		return fault.NotSent
	case e.FromIntermediary || e.Status < 400 || e.Status > 499 || isConnectionError(e):
		return fault.Unknown
	case e.Status == http.StatusMethodNotAllowed: // its error code is UpstreamInvalidResponse, but nothing was done
		return fault.Refused
	case e.Code == fault.UpstreamTimeout, e.Code == fault.UpstreamUnavailable, e.Code == fault.UpstreamInvalidResponse:
		return fault.Unknown
	default:
		return fault.Refused
	}
}

func codeOfStatus(status int) fault.Code {
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

// retryAfter parses Retry-After as seconds, or as a date relative to the response's Date (RFC 9110, section 10.2.3).
// It returns at most maxRetryAfter, 0 for none.
func retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds > int(maxRetryAfter/time.Second) { // Atoi fails if the number exceeds an int
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

// invalid returns the error for a response that cannot be understood.
func invalid(operation string, status int, detail string, err error) *Error {
	return &Error{
		Operation: operation,
		Status:    status,
		Title:     "invalid response",
		Detail:    detail,
		Code:      fault.UpstreamInvalidResponse,
		Err:       err,
	}
}

// connectionError returns the error for a request without a complete response. A call that its caller cancelled fails
// with context.Canceled. A response that is not HTTP is invalid.
func connectionError(ctx context.Context, operation string, status int, unsent bool, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		err := fmt.Errorf("%s: %w", operation, context.Canceled)
		if unsent {
			return fault.WithOutcome(err, fault.NotSent)
		}
		return err
	}
	if errors.Is(err, transport.ErrMalformed) {
		return invalid(operation, status, transport.ErrMalformed.Error(), err)
	}
	e := &Error{Operation: operation, Status: status, Title: "no answer", Detail: reason(err), Code: fault.UpstreamUnavailable, Unsent: unsent, Err: err}
	var timeout interface{ Timeout() bool }
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		e.Code, e.Title, e.Detail = fault.UpstreamTimeout, "timed out", ""
	}
	return e
}

// reason describes a connection failure without addresses.
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
