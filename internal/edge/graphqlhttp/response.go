package graphqlhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// Media types of answers.
const (
	TypeJSON            = "application/json"
	TypeGraphQLResponse = "application/graphql-response+json"
	EventStream         = "text/event-stream"
)

// InUTF8 is the charset parameter of text media types. Without it, some clients assume Latin-1
// (Python's requests, PowerShell 5.1, Dart).
const InUTF8 = "; charset=utf-8"

// AnswerType returns the media type with the greater weight in Accept, of equals the first. A wildcard prefers JSON.
// The most specific range determines the weight of a type (RFC 9110, section 12.5.1). It is JSON if Accept names neither
// (GraphQL over HTTP, section Accept).
func AnswerType(r *http.Request) string {
	var plain, modern acceptance
	place := 0
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			place++
			name, parameters, _ := strings.Cut(part, ";")
			a := acceptance{weight: Weight(parameters), place: place}
			switch strings.ToLower(strings.TrimSpace(name)) {
			case TypeJSON:
				a.specific = named
				plain = plain.or(a)
			case TypeGraphQLResponse:
				a.specific = named
				modern = modern.or(a)
			case "application/*":
				a.specific = family
				plain, modern = plain.or(a), modern.or(a)
			case "*/*":
				a.specific = anyType
				plain, modern = plain.or(a), modern.or(a)
			}
		}
	}
	first := modern.specific == named && modern.weight > 0 && modern.place < plain.place
	if modern.weight > plain.weight || modern.weight == plain.weight && first {
		return TypeGraphQLResponse
	}
	return TypeJSON
}

// acceptance is what Accept says of a media type. The zero acceptance refuses it.
type acceptance struct {
	specific specificity
	weight   float64
	place    int // of the range in Accept
}

// specificity is that of a media range.
type specificity int

const (
	anyType specificity = iota + 1
	family
	named
)

// or returns the more specific of two acceptances, of equals that with the greater weight.
func (a acceptance) or(b acceptance) acceptance {
	if b.specific > a.specific || b.specific == a.specific && b.weight > a.weight {
		return b
	}
	return a
}

// Weight returns the q of an element: 1 if it is absent, 0 if it is invalid.
func Weight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || q < 0 || q > 1 {
			return 0
		}
		return q
	}
	return 1
}

// OrCancelled returns the response, or nil if the client has left.
func OrCancelled(resp *graphql.Response) *graphql.Response {
	if resp == nil {
		return &graphql.Response{Errors: gqlerror.List{apierror.Refusal(fault.Internal, "the request was cancelled")}}
	}
	return resp
}

// WriteResponse writes a response. It ignores that a client has left, and logs that the response cannot be encoded.
func WriteResponse(w io.Writer, resp *graphql.Response, log *slog.Logger) {
	body, err := EncodeParts(resp)
	if err != nil {
		log.Error("answer not written", "error", err) // gqlgen's data are valid JSON
		return
	}
	_, _ = body.WriteTo(w)
}

// EncodeResponse encodes the response like encoding/json, except for absent data. A request
// that failed before its execution has no data (GraphQL specification, section 7.1).
func EncodeResponse(resp *graphql.Response) ([]byte, error) {
	errs, extensions, err := encodeMembers(resp)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, frameBytes+len(errs)+len(resp.Data)+len(extensions))
	return appendAfter(append(appendBefore(body, resp, errs), resp.Data...), resp, errs, extensions), nil
}

// copied is the size up to which data are copied when they are encoded, in bytes.
const copied = 64 << 10

// Encoded is an encoded response. Large data, which requests may share, are a part of their own and not copied.
type Encoded [3][]byte

// EncodeParts is EncodeResponse without a copy of large data.
func EncodeParts(resp *graphql.Response) (Encoded, error) {
	if len(resp.Data) <= copied {
		body, err := EncodeResponse(resp)
		return Encoded{body}, err
	}
	errs, extensions, err := encodeMembers(resp)
	if err != nil {
		return Encoded{}, err
	}
	return Encoded{appendBefore(nil, resp, errs), resp.Data, appendAfter(nil, resp, errs, extensions)}, nil
}

// Within returns the response between other text.
func (e Encoded) Within(before, after string) Encoded {
	if e[1] == nil {
		return Encoded{append(append(append(make([]byte, 0, len(before)+len(e[0])+len(after)), before...), e[0]...), after...)}
	}
	return Encoded{append([]byte(before), e[0]...), e[1], append(e[2], after...)}
}

// Len returns the size of the response in bytes.
func (e Encoded) Len() int { return len(e[0]) + len(e[1]) + len(e[2]) }

// WriteTo writes the response, as io.WriterTo.
func (e Encoded) WriteTo(w io.Writer) (written int64, err error) {
	if buffer, ok := w.(interface{ Grow(bytes int) }); ok {
		buffer.Grow(e.Len())
	}
	for i, part := range e {
		if i > 0 && part == nil {
			break
		}
		n, err := w.Write(part)
		if written += int64(n); err != nil {
			return written, err //nolint:wrapcheck // from the writer
		}
	}
	return written, nil
}

// frameBytes is the size of a response with empty members.
const frameBytes = len(`{"errors":,"data":,"extensions":}`)

// encodeMembers encodes the errors and the extensions of a response; nil: it has none.
func encodeMembers(resp *graphql.Response) (errs, extensions []byte, err error) {
	if len(resp.Errors) > 0 {
		if errs, err = json.Marshal(resp.Errors); err != nil {
			return nil, nil, fmt.Errorf("encode errors: %w", err)
		}
	}
	if len(resp.Extensions) > 0 {
		if extensions, err = json.Marshal(resp.Extensions); err != nil {
			return nil, nil, fmt.Errorf("encode extensions: %w", err)
		}
	}
	return errs, extensions, nil
}

// appendBefore appends what precedes the data.
func appendBefore(body []byte, resp *graphql.Response, errs []byte) []byte {
	body = append(body, '{')
	if errs != nil {
		body = append(append(body, `"errors":`...), errs...)
		if resp.Data != nil {
			body = append(body, ',')
		}
	}
	if resp.Data != nil {
		body = append(body, `"data":`...)
	}
	return body
}

// appendAfter appends what follows the data.
func appendAfter(body []byte, resp *graphql.Response, errs, extensions []byte) []byte {
	if extensions != nil {
		if errs != nil || resp.Data != nil {
			body = append(body, ',')
		}
		body = append(append(body, `"extensions":`...), extensions...)
	}
	return append(body, '}')
}

// WriteError answers a request that has no operation. A rejected token is reported before any
// other error.
func WriteError(w http.ResponseWriter, r *http.Request, status int, err error) {
	if refused := RefusalOf(r.Context()); refused != nil {
		RefuseCredentials(w, r, refused)
		return
	}
	accesslog.FromContext(r.Context()).Refused(string(fault.CodeOf(err)))
	WriteErrorAs(w, AnswerType(r), status, err)
}

// WriteErrorAs answers such a request with a media type.
func WriteErrorAs(w http.ResponseWriter, media string, status int, err error) {
	f := &fault.Error{Code: fault.Internal, Message: "internal error"}
	_ = errors.As(err, &f)
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && f.RetryAfter == 0 {
		faultErr := *f // errors may be shared
		faultErr.RetryAfter = fault.Soon()
		f = &faultErr
	}
	refusal := apierror.RefusalOf(f)
	if seconds, ok := refusal.Extensions[apierror.ExtensionRetryAfter].(int); ok {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	w.Header().Set("Content-Type", media+InUTF8)
	w.WriteHeader(status)
	body, _ := EncodeResponse(&graphql.Response{Errors: gqlerror.List{refusal}}) // a refusal has no value that cannot be encoded
	_, _ = w.Write(body)                                                         // the client may have left
}

// RefuseBody answers a request whose body could not be read or contains no operation.
func RefuseBody(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	var batch *batchError
	var faultErr *fault.Error
	switch {
	case errors.As(err, &batch):
		writeBatchError(w, r, batch)
	case errors.As(err, &large):
		RefuseUnread(w, r, http.StatusRequestEntityTooLarge, fault.BadInput("", "the request body has more than the %d bytes that are taken", large.Limit))
	case errors.Is(err, ErrBusy):
		RefuseUnread(w, r, http.StatusServiceUnavailable, ErrBusy)
	case errors.Is(err, ErrCharset) && errors.As(err, &faultErr):
		WriteError(w, r, http.StatusUnsupportedMediaType, faultErr)
	case errors.As(err, &faultErr):
		WriteError(w, r, http.StatusBadRequest, faultErr)
	default:
		WriteError(w, r, http.StatusBadRequest, fault.BadInput("", "the request body cannot be read to its end"))
	}
}

// RefuseUnread answers a request whose body is not read to its end. The connection closes, as the server would read the rest
// of the body before it answers otherwise. A body with a method Refuse learns of it.
func RefuseUnread(w http.ResponseWriter, r *http.Request, status int, err error) {
	if b, ok := r.Body.(interface{ Refuse() }); ok {
		b.Refuse()
	}
	w.Header().Set("Connection", "close")
	WriteError(&wholeWriter{ResponseWriter: w}, r, status, err)
}

// wholeWriter writes an answer with its length, so that it is complete before its handler ends. The body must be one write.
type wholeWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *wholeWriter) WriteHeader(status int) { w.status = status }

// Write writes the answer.
func (w *wholeWriter) Write(body []byte) (int, error) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.ResponseWriter.WriteHeader(w.status)
	return w.ResponseWriter.Write(body) //nolint:wrapcheck // the server's
}

// RequestError returns the GraphQL error of a request without an operation.
func RequestError(err error) *gqlerror.Error {
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // made by parameters
		return apierror.RefusalOf(f)
	}
	return apierror.Refusal(fault.CodeOf(err), "internal error")
}

// AnsweredAs sets the media type of the answer for gqlgen's transports.
func AnsweredAs(r *http.Request) map[string][]string {
	return map[string][]string{"Content-Type": {AnswerType(r)}}
}
