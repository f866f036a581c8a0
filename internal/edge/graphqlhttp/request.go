// Package graphqlhttp reads GraphQL requests from HTTP, and writes responses without an operation.
package graphqlhttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// Parameters are those of one GraphQL request. All transports read them with the functions of
// this file, so that the same text is accepted or refused by each.
type Parameters struct {
	Query         string
	OperationName string
	Variables     jsontext.Value // a JSON object, or empty
	Extensions    jsontext.Value // a JSON object, or empty

	// Files are those of a multipart request, by their path below the variables.
	Files map[string]scalar.Upload
}

const (
	// maxOperationName bounds an operation's name, in bytes.
	maxOperationName = 128
	// maxEchoed bounds the text of a caller that an error repeats, in bytes.
	maxEchoed = 128
	// maxPersistedQuery bounds the extension of that name, in bytes: it holds a hash.
	maxPersistedQuery = 1024
)

// ByteOrderMark may stand before a JSON text.
const ByteOrderMark = "\uFEFF"

// errNotUTF8 refuses text in another encoding: decoded as UTF-8 it would be another text.
var errNotUTF8 = fault.BadInput("", "the request is not encoded in UTF-8")

// ParseParameters reads the JSON object of a request. One byte order mark before it is skipped
// (RFC 8259, section 8.1). It fails with fault.BadUserInput, whose argument is the member at fault.
func ParseParameters(text []byte) (*Parameters, error) {
	text = bytes.TrimPrefix(text, []byte(ByteOrderMark))
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	p := &Parameters{}
	// Names are not compared: a map of them costs more memory than the text. Members that
	// count are compared where they are read.
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	if begin, err := dec.ReadToken(); err != nil || begin.Kind() != '{' {
		return nil, fault.BadInput("", apierror.NotAnOperation)
	}
	seen := make(map[string]bool, 4)
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, malformed(err)
		}
		member := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, malformed(err)
		}
		if err := p.set(seen, member, value); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, malformed(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fault.BadInput("", apierror.NotAnOperation)
	}
	return p, p.check()
}

// set keeps a member, in memory of its own. Other members than the four have no meaning.
func (p *Parameters) set(seen map[string]bool, member string, value jsontext.Value) error {
	switch member {
	case "query", "operationName", "variables", "extensions":
	default:
		return nil
	}
	if seen[member] {
		return fault.BadInput(member, "is there more than once")
	}
	seen[member] = true
	if value.Kind() == 'n' {
		return nil
	}
	switch member {
	case "query":
		return ReadString(member, value, &p.Query)
	case "operationName":
		return ReadString(member, value, &p.OperationName)
	case "variables":
		return object(member, value, &p.Variables)
	default:
		return object(member, value, &p.Extensions)
	}
}

// ReadString reads a member that has to be a string.
func ReadString(member string, value jsontext.Value, into *string) error {
	if value.Kind() != '"' {
		return fault.BadInput(member, "is not a string")
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

// check refuses what no operation has.
func (p *Parameters) check() error {
	if len(p.OperationName) > maxOperationName {
		return fault.BadInput("operationName", "is longer than %d bytes", maxOperationName)
	}
	return nil
}

// malformed says what is wrong with the JSON of a request, and where, without its text.
func malformed(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return fault.BadInput("", apierror.NotAnOperation)
	}
	if cause := err.Error(); !strings.Contains(cause, "surrogate") && !strings.Contains(cause, "UTF-8") && !strings.Contains(cause, `escape sequence "\ud`) && !strings.Contains(cause, `escape sequence "\uD`) {
		return fault.BadInput("", apierror.NotAnOperation)
	}
	names := make([]string, 0, 4)
	for name := range syntax.JSONPointer.Tokens() {
		names = append(names, name)
	}
	return fault.BadInput(Truncate(strings.Join(names, ".")), "holds one half of a surrogate pair, which is no character")
}

// Truncate is a caller's text as an error repeats it.
func Truncate(s string) string {
	if len(s) <= maxEchoed {
		return s
	}
	return strings.ToValidUTF8(s[:maxEchoed], "") + "…"
}

// ParseQueryString reads the parameters of a GET.
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
		case "query", "operationName", "variables", "extensions":
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

// setText keeps a parameter of a query string.
func (p *Parameters) setText(name, value string) error {
	into := &p.Variables
	switch name {
	case "query":
		p.Query = value
		return nil
	case "operationName":
		p.OperationName = value
		return nil
	case "extensions":
		into = &p.Extensions
	}
	if value == "" {
		return nil
	}
	dec := jsontext.NewDecoder(strings.NewReader(strings.TrimPrefix(value, ByteOrderMark)), jsontext.AllowDuplicateNames(true))
	v, err := dec.ReadValue()
	if err != nil {
		var told *fault.Error
		if told, _ = malformed(err).(*fault.Error); told != nil && told.Message != apierror.NotAnOperation { //nolint:errorlint // made here
			told.Argument = strings.TrimSuffix(name+"."+told.Argument, ".")
			return told
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

// Raw are the parameters as gqlgen takes them. Variables follow when the document is known.
func (p *Parameters) Raw() (*graphql.RawParams, error) {
	raw := &graphql.RawParams{Query: p.Query, OperationName: p.OperationName}
	if len(p.Extensions) == 0 {
		return raw, nil
	}
	var extensions struct {
		PersistedQuery jsontext.Value `json:"persistedQuery"`
	}
	if err := json.Unmarshal(p.Extensions, &extensions, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, fault.BadInput("extensions", "is not a JSON object")
	}
	persisted := extensions.PersistedQuery
	if len(persisted) == 0 || persisted.Kind() == 'n' {
		return raw, nil
	}
	var members map[string]any
	if len(persisted) > maxPersistedQuery || json.Unmarshal(persisted, &members) != nil {
		return nil, fault.BadInput("extensions.persistedQuery", "is not an object of version and sha256Hash")
	}
	raw.Extensions = map[string]any{"persistedQuery": members}
	return raw, nil
}

type parametersKey struct{}

// ParametersOf are those of the request in ctx, if they have been read.
func ParametersOf(ctx context.Context) (*Parameters, bool) {
	p, ok := ctx.Value(parametersKey{}).(*Parameters)
	return p, ok
}

// WithParameters is ctx with the parameters of its request.
func WithParameters(ctx context.Context, p *Parameters) context.Context {
	return context.WithValue(ctx, parametersKey{}, p)
}

// ParseMediaType is mime.ParseMediaType. It knows what most clients send without parsing it.
func ParseMediaType(contentType string) (media string, params map[string]string, err error) {
	if contentType == "application/json" {
		return contentType, nil, nil
	}
	return mime.ParseMediaType(contentType) //nolint:wrapcheck // the callers say what it is
}

// CheckContentType refuses a request whose Content-Type names another charset than UTF-8, and a
// POST of which it is not one readable media type. It returns the status of the answer as well.
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

// CheckCharset refuses a body that says that it is not encoded in UTF-8 (RFC 8259, section 8.1).
func CheckCharset(contentType string) error {
	_, params, err := ParseMediaType(contentType)
	if err != nil {
		return nil //nolint:nilerr // no transport takes such a body
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
	const most = 64 << 10 // that a client's word about its body is believed
	into := bytes.NewBuffer(make([]byte, 0, min(max(0, r.ContentLength), most)+bytes.MinRead))
	if _, err := into.ReadFrom(ReservationOf(r.Context()).Reader(r.Body)); err != nil {
		return nil, err //nolint:wrapcheck // refuseBody says what it is
	}
	return ParseParameters(into.Bytes())
}

// IsJSON says whether the body of a request is JSON.
func IsJSON(r *http.Request) bool {
	t, _, err := ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// ErrCharset refuses text that says to be in another encoding than UTF-8.
var ErrCharset = errors.New("edge: the part names another charset than UTF-8")

// IsMultipart says whether r is a POST of a multipart form.
func IsMultipart(r *http.Request) bool {
	media, _, err := ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && media == "multipart/form-data"
}

// IsWebSocket says whether the client asks for a WebSocket.
func IsWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
