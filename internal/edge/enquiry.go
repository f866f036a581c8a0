package edge

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

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
	execute  func(context.Context, http.ResponseWriter)

	persist, hash string // a text that is sent with its hash, in hexadecimal
}

// again is the request, in another context.
func (e *enquiry) again(ctx context.Context) *http.Request { return e.request.WithContext(ctx) }

// enquire names the answer that a request asks for. It is not ok where the request is
// in any way unusual.
func (a *Answers) enquire(r *http.Request) (e *enquiry, ok bool) {
	accept := r.Header.Values("Accept")
	if len(accept) > 1 || len(accept) == 1 && len(accept[0]) > 256 {
		return nil, false
	}
	p, ok := parametersOf(r.Context())
	if !ok {
		return nil, false
	}
	hash, persisted, ok := p.hash()
	if !ok {
		return nil, false
	}
	document := p.document(hash)
	e = &enquiry{
		ctx: r.Context(), key: a.keyOf(r, p, document), document: document, request: r,
		fresh: wantsFresh(r.Header), apart: tracing(r.Context()) != untraced || unkept(r.Header),
	}
	if persisted && p.Query != "" {
		e.persist, e.hash = p.Query, hex.EncodeToString(hash[:])
	}
	return e, true
}

// document names the operation of the document with that hash.
func (p *parameters) document(hash [sha256.Size]byte) documentKey {
	if p.OperationName == "" {
		return documentKey(hash)
	}
	return sha256.Sum256(append(hash[:], p.OperationName...))
}

// hash is the document's, as automatic persisted queries have it, and whether it is one of
// those. Where both are there, they must be the same.
func (p *parameters) hash() (hash [sha256.Size]byte, isPersisted, ok bool) {
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
func (a *Answers) keyOf(r *http.Request, p *parameters, document documentKey) answerKey {
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
