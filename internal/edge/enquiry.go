package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// documentKey names an operation of a document: the document's hash, or where the
// operation is named, a hash of both.
type documentKey [sha256.Size]byte

// answerKey names an answer: all that it can depend on beside the console.
type answerKey struct {
	sum [sha256.Size]byte
	// limits are the API key's, as they are: keys of one account may differ in what
	// they may ask.
	limits *principal.Limits
}

// enquiry is a request whose answer can be named.
type enquiry struct {
	ctx      context.Context //nolint:containedctx // the request's own
	key      answerKey
	document documentKey
	fresh    bool // Cache-Control: no-cache
	apart    bool // neither from what is kept nor to be kept
	request  *http.Request
	body     []byte // what request has in its body, if it was read
	execute  func(context.Context, http.ResponseWriter)

	persist, hash string // a text that is sent with its hash, in hexadecimal
}

// again is the request, to be read once more.
func (e *enquiry) again(ctx context.Context) *http.Request {
	r := e.request.WithContext(ctx)
	if e.body != nil {
		r.Body = newReadBody(e.body)
	}
	return r
}

// readBody is a request's body that has been read, to be read again.
type readBody struct{ bytes.Reader }

func newReadBody(b []byte) *readBody {
	r := &readBody{}
	r.Reset(b)
	return r
}

// Close has nothing to free.
func (*readBody) Close() error { return nil }

// parameters are those of a GraphQL request, and nothing else: with a member more, or
// one spelt otherwise, encoding/json might read another operation out of it than this.
type parameters struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     jsontext.Value `json:"variables"`
	Extensions    jsontext.Value `json:"extensions"`
}

// enquire names the answer that a request asks for. It is not ok where the request is
// in any way unusual, or cannot be read; r can then be read as if nothing had happened.
func (a *Answers) enquire(r *http.Request) (e *enquiry, ok bool) {
	accept := r.Header.Values("Accept")
	if len(accept) > 1 || len(accept) == 1 && len(accept[0]) > 256 {
		return nil, false
	}
	var p parameters
	var body []byte
	var err error
	if r.Method == http.MethodGet {
		p, err = queried(r.URL.RawQuery)
	} else {
		p, body, err = posted(r)
	}
	if err != nil || !p.variablesAreAnObject() {
		return nil, false
	}
	hash, persisted, ok := p.hash()
	if !ok {
		return nil, false
	}
	document := p.document(hash)
	e = &enquiry{
		ctx: r.Context(), key: a.keyOf(r, p, document), document: document, request: r, body: body,
		fresh: wantsFresh(r.Header), apart: tracing(r.Context()) != untraced || unkept(r.Header),
	}
	if persisted && p.Query != "" {
		e.persist, e.hash = p.Query, hex.EncodeToString(hash[:])
	}
	return e, true
}

// posted reads a JSON body. Whatever comes of it, r.Body can be read from its beginning.
func posted(r *http.Request) (p parameters, body []byte, err error) {
	const most = 64 << 10 // that a client's word about its body is believed
	into := bytes.NewBuffer(make([]byte, 0, min(max(0, r.ContentLength), most)+bytes.MinRead))
	_, err = into.ReadFrom(r.Body)
	body = into.Bytes()
	if err != nil {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), errBody{err}), r.Body}
		return p, nil, err
	}
	r.Body = newReadBody(body)
	err = json.Unmarshal(body, &p, json.RejectUnknownMembers(true))
	return p, body, err
}

// queried reads a query string, in which each parameter stands once.
func queried(raw string) (p parameters, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return p, err
	}
	for name, all := range values {
		if len(all) != 1 {
			return p, errNotAsked
		}
		switch name {
		case "query":
			p.Query = all[0]
		case "operationName":
			p.OperationName = all[0]
		case "variables":
			p.Variables = jsontext.Value(all[0])
		case "extensions":
			p.Extensions = jsontext.Value(all[0])
		default:
			return p, errNotAsked
		}
	}
	return p, nil
}

// variablesAreAnObject says whether there are none, or an object of them: for anything
// else there is no operation.
func (p parameters) variablesAreAnObject() bool {
	switch p.Variables.Kind() {
	case '{', 'n':
		return true
	default:
		return len(p.Variables) == 0
	}
}

// document names the operation of the document with that hash.
func (p parameters) document(hash [sha256.Size]byte) documentKey {
	if p.OperationName == "" {
		return documentKey(hash)
	}
	return sha256.Sum256(append(hash[:], p.OperationName...))
}

// hash is the document's, as automatic persisted queries have it, and whether it is one of
// those. Where both are there, they must be the same.
func (p parameters) hash() (hash [sha256.Size]byte, isPersisted, ok bool) {
	if p.Query != "" {
		hash = sha256.Sum256([]byte(p.Query))
	}
	if len(p.Extensions) == 0 || string(p.Extensions) == "null" {
		return hash, false, p.Query != ""
	}
	var extensions struct {
		PersistedQuery *struct {
			Version int    `json:"version"`
			Hash    string `json:"sha256Hash"`
		} `json:"persistedQuery"`
	}
	if json.Unmarshal(p.Extensions, &extensions) != nil {
		return hash, false, false
	}
	persisted := extensions.PersistedQuery
	if persisted == nil {
		return hash, false, p.Query != ""
	}
	named, err := hex.DecodeString(persisted.Hash)
	if err != nil || len(named) != sha256.Size || hex.EncodeToString(named) != persisted.Hash || persisted.Version != 1 {
		return hash, true, false // which the extension refuses
	}
	if p.Query != "" {
		return hash, true, [sha256.Size]byte(named) == hash
	}
	return [sha256.Size]byte(named), true, true
}

// keyOf names the answer: a hash over each part with its length.
func (a *Answers) keyOf(r *http.Request, p parameters, document documentKey) answerKey {
	who := principal.FromContext(r.Context())
	sc, _ := scope.FromContext(r.Context())
	variables := p.Variables
	if len(variables) > 0 {
		variables = variables.Clone()
		if variables.Compact() != nil { // numbers stay as they are written: a canonical form would round large ones
			variables = p.Variables
		}
	}
	text := make([]byte, 0, 512)
	for _, part := range [...]string{
		r.Method, r.Header.Get("Accept"), string(variables), who.Name(), sc.CompanyID, sc.DepartmentID,
	} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	text = append(text, document[:]...)
	text = append(text, a.schema[:]...)
	return answerKey{sum: sha256.Sum256(text), limits: who.Limits()}
}

// wantsFresh says whether the client will have nothing that is kept (RFC 9111, section 5.2.1).
func wantsFresh(h http.Header) bool {
	if len(h.Values("Cache-Control")) == 0 {
		return strings.EqualFold(h.Get("Pragma"), "no-cache")
	}
	return directs(h, "no-cache") || directs(h, "max-age=0")
}

// unkept says that the client does not want its answer kept (RFC 9111, section 5.2.1.5).
func unkept(h http.Header) bool { return directs(h, "no-store") }

// directs says whether Cache-Control has the directive.
func directs(h http.Header, directive string) bool {
	for _, value := range h.Values("Cache-Control") {
		for d := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(d), directive) {
				return true
			}
		}
	}
	return false
}
