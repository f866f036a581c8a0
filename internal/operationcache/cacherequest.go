package operationcache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// answerKey names an answer: all that it can depend on beside the console.
type answerKey struct {
	sum [sha256.Size]byte
	// limits are the API key's, as they are: keys of one account may differ in what
	// they may ask.
	limits *principal.Limits
}

// cacheRequest is a request whose answer can be named.
type cacheRequest struct {
	ctx      context.Context //nolint:containedctx // the request's own
	key      answerKey
	document graphqlhttp.DocumentKey
	noCache  bool   // Cache-Control: no-cache
	bypass   bool   // neither from what is kept nor to be kept
	media    string // the media type of the answer
	execute  func(context.Context, http.ResponseWriter)

	persist, hash string // a text that is sent with its hash, in hexadecimal
}

// cacheRequest names the answer that a request asks for. It depends on the media type and on no
// other matter of the transport. The answer of a request that is in any way unusual is apart.
func (a *Cache) cacheRequest(ctx context.Context, p *graphqlhttp.Parameters, h http.Header, media string) *cacheRequest {
	if directives := p.CacheControl(); directives != "" {
		h = http.Header{"Cache-Control": append(slices.Clone(h.Values("Cache-Control")), directives)}
	}
	e := &cacheRequest{ctx: ctx, media: media, noCache: noCache(h), bypass: true}
	hash, persisted, ok := p.Hash()
	if !ok {
		return e
	}
	e.document = p.Document(hash)
	e.key = a.keyOf(ctx, p, e.document, media)
	e.bypass = operation.TraceModeOf(ctx) != operation.Untraced || noStore(h)
	if persisted && p.Query != "" {
		e.persist, e.hash = p.Query, hex.EncodeToString(hash[:])
	}
	return e
}

// keyOf names the answer: a hash over each part with its length.
func (a *Cache) keyOf(ctx context.Context, p *graphqlhttp.Parameters, document graphqlhttp.DocumentKey, media string) answerKey {
	who := principal.FromContext(ctx)
	sc, _ := scope.FromContext(ctx)
	variables := p.Variables
	if len(variables) > 0 {
		variables = variables.Clone()
		if variables.Compact() != nil { // numbers stay as they are written: a canonical form would round large ones
			variables = p.Variables
		}
	}
	text := make([]byte, 0, 512)
	for _, part := range [...]string{
		media, string(variables), who.Name(), sc.CompanyID, sc.DepartmentID,
	} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	text = append(text, document[:]...)
	text = append(text, a.schema[:]...)
	return answerKey{sum: sha256.Sum256(text), limits: who.Limits()}
}

// noCache says whether the client will have nothing that is kept (RFC 9111, section 5.2.1).
func noCache(h http.Header) bool {
	if len(h.Values("Cache-Control")) == 0 {
		return strings.EqualFold(h.Get("Pragma"), "no-cache")
	}
	return directs(h, "no-cache") || directs(h, "max-age=0")
}

// noStore says that the client does not want its answer kept (RFC 9111, section 5.2.1.5).
func noStore(h http.Header) bool { return directs(h, "no-store") }

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
