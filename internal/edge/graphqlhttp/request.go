// Package graphqlhttp reads GraphQL requests from HTTP, and writes responses of requests
// without an operation.
package graphqlhttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/jsonobject"
	"github.com/consoleql/consoleql/internal/textfile"
)

// Parameters are the parameters of a GraphQL request. All transports read them with the
// functions of this file, so that each accepts and refuses the same text.
type Parameters struct {
	Query         string
	OperationName string
	DocumentID    string         // the member documentId or doc_id, which names a trusted document
	Variables     jsontext.Value // a JSON object, or empty
	Extensions    jsontext.Value // a JSON object, or empty

	// Files are the files of a multipart request, by their path below the variables.
	Files map[string]scalar.Upload

	persisted string // the member sha256Hash of the extension persistedQuery; empty: there is none

	resolved bool         // Query is the text of the document that the request names
	refusal  *fault.Error // nil: the operation may run
}

const (
	// maxOperationName bounds an operation's name, in bytes.
	maxOperationName = 128
	// maxEchoed bounds the caller's text in an error, in bytes.
	maxEchoed = 128
)

// errNotUTF8 refuses text in another encoding, which would decode to another text.
var errNotUTF8 = fault.BadInput("", "the request is not encoded in UTF-8")

// ParseParameters parses the JSON object of a request. It skips one byte order mark (RFC 8259,
// section 8.1). It fails with fault.BadUserInput, whose argument is the invalid member.
func ParseParameters(text []byte) (*Parameters, error) {
	text = bytes.TrimPrefix(text, []byte(textfile.ByteOrderMark))
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	if err := checkBatch(text); err != nil {
		return nil, err
	}
	p := &Parameters{}
	if err := ReadMembers(text, []string{"query", "operationName", "documentId", "doc_id", "variables", "extensions"}, p.set); err != nil {
		return nil, err
	}
	return p, p.check()
}

// ReadMembers parses text as a JSON object, and calls set with each member of the given names.
// It skips other members, and refuses a given name that is repeated. It fails with
// fault.BadUserInput or the error of set.
func ReadMembers(text []byte, names []string, set func(member string, value jsontext.Value) error, options ...jsontext.Options) error {
	seen := make(map[string]bool, len(names))
	err := jsonobject.Members(text, func(member string, value jsontext.Value) error {
		if !slices.Contains(names, member) {
			return nil
		}
		if seen[member] {
			return fault.BadInput(member, "is there more than once")
		}
		seen[member] = true
		return set(member, value)
	}, options...)
	if err == nil {
		return nil
	}
	if syntax, ok := errors.AsType[*jsonobject.SyntaxError](err); ok {
		return malformed(syntax.Err)
	}
	if errors.Is(err, jsonobject.ErrNotObject) || errors.Is(err, jsonobject.ErrTrailing) {
		return fault.BadInput("", apierror.NotAnOperation)
	}
	return err
}

// set stores a copy of a member.
func (p *Parameters) set(member string, value jsontext.Value) error {
	if value.Kind() == 'n' {
		return nil
	}
	switch member {
	case "query":
		return ReadString(member, value, &p.Query)
	case "operationName":
		return ReadString(member, value, &p.OperationName)
	case "documentId", "doc_id":
		var id string
		if err := ReadString(member, value, &id); err != nil {
			return err
		}
		return p.setDocumentID(member, id)
	case "variables":
		return object(member, value, &p.Variables)
	default:
		return object(member, value, &p.Extensions)
	}
}

// ReadString decodes a member that must be a string.
func ReadString(member string, value jsontext.Value, into *string) error {
	if value.Kind() != '"' {
		return fault.BadInput(member, "is not a string")
	}
	if bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value) { // AppendUnquote would copy it twice
		*into = string(value[1 : len(value)-1])
		return nil
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return fault.BadInput(member, "is not a string")
	}
	*into = string(unquoted)
	return nil
}

func object(member string, value jsontext.Value, into *jsontext.Value) error {
	if value.Kind() != '{' {
		return fault.BadInput(member, "is not a JSON object")
	}
	*into = value.Clone()
	return nil
}

// check refuses parameters that no operation can have, and reads the extension persistedQuery.
func (p *Parameters) check() error {
	if len(p.OperationName) > maxOperationName {
		return fault.BadInput("operationName", "is longer than %d bytes", maxOperationName)
	}
	return p.readPersisted()
}

// malformed describes a JSON error and its position, without quoting the text.
func malformed(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return fault.BadInput("", apierror.NotAnOperation)
	}
	if cause := err.Error(); !strings.Contains(cause, "surrogate") && !strings.Contains(cause, "UTF-8") && !strings.Contains(cause, `escape sequence "\ud`) && !strings.Contains(cause, `escape sequence "\uD`) {
		return fault.BadInput("", apierror.NotAnOperation)
	}
	names := slices.Collect(syntax.JSONPointer.Tokens())
	return fault.BadInput(Truncate(strings.Join(names, ".")), "holds one half of a surrogate pair, which is no character")
}

// Truncate shortens a caller's text for an error.
func Truncate(s string) string {
	if len(s) <= maxEchoed {
		return s
	}
	return strings.ToValidUTF8(s[:maxEchoed], "") + "…"
}

// ParseQueryString parses the parameters of a GET.
func ParseQueryString(raw string) (*Parameters, error) {
	p := &Parameters{}
	seen := make(map[string]bool, 4)
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || strings.Contains(part, ";") {
			return nil, fault.BadInput("", "the query string cannot be decoded")
		}
		switch name {
		case "query", "operationName", "documentId", "doc_id", "variables", "extensions":
		default:
			continue
		}
		value, err = url.QueryUnescape(value)
		switch {
		case err != nil:
			return nil, fault.BadInput(name, "cannot be decoded")
		case !utf8.ValidString(value):
			return nil, fault.BadInput(name, "is not encoded in UTF-8")
		case seen[name]:
			return nil, fault.BadInput(name, "is there more than once")
		}
		seen[name] = true
		if err := p.setText(name, value); err != nil {
			return nil, err
		}
	}
	return p, p.check()
}

// setText stores a parameter of a query string.
func (p *Parameters) setText(name, value string) error {
	into := &p.Variables
	switch name {
	case "query":
		p.Query = value
		return nil
	case "operationName":
		p.OperationName = value
		return nil
	case "documentId", "doc_id":
		return p.setDocumentID(name, value)
	case "extensions":
		into = &p.Extensions
	}
	if value == "" {
		return nil
	}
	dec := jsontext.NewDecoder(strings.NewReader(strings.TrimPrefix(value, textfile.ByteOrderMark)), jsontext.AllowDuplicateNames(true))
	v, err := dec.ReadValue()
	if err != nil {
		var refusal *fault.Error
		if refusal, _ = malformed(err).(*fault.Error); refusal != nil && refusal.Message != apierror.NotAnOperation { //nolint:errorlint // from this file
			refusal.Argument = strings.TrimSuffix(name+"."+refusal.Argument, ".")
			return refusal
		}
		return fault.BadInput(name, "is not a JSON object")
	}
	if v.Kind() != 'n' {
		if err := object(name, v, into); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.BadInput(name, "is not a JSON object")
	}
	return nil
}

// Raw returns the parameters in gqlgen's form. The variables follow when the document is
// known.
func (p *Parameters) Raw() *graphql.RawParams {
	raw := &graphql.RawParams{Query: p.Query, OperationName: p.OperationName}
	if p.persisted != "" && !p.resolved {
		raw.Extensions = map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": p.persisted}}
	}
	return raw
}

type parametersKey struct{}

// ParametersOf returns the parameters of the request in ctx, if they have been read.
func ParametersOf(ctx context.Context) (*Parameters, bool) {
	p, ok := ctx.Value(parametersKey{}).(*Parameters)
	return p, ok
}

// WithParameters returns ctx with the parameters of its request.
func WithParameters(ctx context.Context, p *Parameters) context.Context {
	return context.WithValue(ctx, parametersKey{}, p)
}

// ParseMediaType is mime.ParseMediaType with a fast path for the usual media types.
func ParseMediaType(contentType string) (media string, params map[string]string, err error) {
	if contentType == "application/json" {
		return contentType, nil, nil
	}
	return mime.ParseMediaType(contentType) //nolint:wrapcheck // the callers describe it
}

// CheckContentType refuses a request whose charset is not UTF-8, and a POST without exactly
// one valid Content-Type. It also returns the status of the answer.
func CheckContentType(r *http.Request) (status int, err error) {
	lines := r.Header.Values("Content-Type")
	if len(lines) == 0 {
		return 0, nil
	}
	if r.Method == http.MethodPost {
		if len(lines) > 1 {
			return http.StatusBadRequest, fault.BadInput("Content-Type", "is there more than once")
		}
		if _, _, err := ParseMediaType(lines[0]); err != nil && lines[0] != "" {
			return http.StatusUnsupportedMediaType, fault.BadInput("Content-Type", "%q cannot be read as a media type", Truncate(lines[0]))
		}
	}
	return http.StatusUnsupportedMediaType, CheckCharset(lines[0])
}

// CheckCharset refuses a body that declares another encoding than UTF-8 (RFC 8259, section
// 8.1).
func CheckCharset(contentType string) error {
	_, params, err := ParseMediaType(contentType)
	if err != nil {
		return nil //nolint:nilerr // no transport accepts such a body
	}
	switch charset := params["charset"]; strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	default:
		return fault.BadInput("Content-Type", "names the charset %q: send UTF-8", Truncate(charset))
	}
}

// ReadBody reads the JSON body of a POST.
func ReadBody(r *http.Request) (*Parameters, error) {
	text, err := ReadText(r)
	if err != nil {
		return nil, err
	}
	return ParseParameters(text)
}

// ReadText reads the body of a request, whose bytes count for its reservation. RefuseBody describes its errors.
func ReadText(r *http.Request) ([]byte, error) {
	const most = 64 << 10 // bytes that are allocated in advance by Content-Length
	into := bytes.NewBuffer(make([]byte, 0, min(max(0, r.ContentLength), most)+bytes.MinRead))
	if _, err := into.ReadFrom(ReservationOf(r.Context()).Reader(r.Body)); err != nil {
		return nil, err //nolint:wrapcheck // RefuseBody describes it
	}
	return into.Bytes(), nil
}

// IsJSON reports whether the body of a request is JSON.
func IsJSON(r *http.Request) bool {
	t, _, err := ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// ErrCharset refuses text that declares another encoding than UTF-8.
var ErrCharset = errors.New("graphqlhttp: the part names another charset than UTF-8")

// IsMultipart reports whether r is a POST of a multipart form.
func IsMultipart(r *http.Request) bool {
	media, _, err := ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && media == "multipart/form-data"
}

// IsWebSocket reports whether the client requests a WebSocket.
func IsWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
