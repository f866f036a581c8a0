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

// answerKey identifies an answer by all that it depends on beside the console.
type answerKey struct {
	sum [sha256.Size]byte
	// limits are the API key's limits. Keys of one account may differ in them.
	limits *principal.Limits
}

// cacheRequest is a request whose answer has a cache key.
type cacheRequest struct {
	ctx      context.Context //nolint:containedctx // context of the request
	key      answerKey
	document graphqlhttp.DocumentKey
	text     string      // of the document; empty: the request has its hash only
	noCache  bool        // Cache-Control: no-cache
	bypass   bool        // neither read from the cache nor stored in it
	media    string      // media type of the answer
	header   http.Header // of an HTTP request, whose answer may be compressed
	execute  func(context.Context, http.ResponseWriter)

	persist, hash string // text sent together with its hash, in hexadecimal
}

// cacheRequest returns the cache request of a request. It depends on the media type, and not
// on the transport. Unusual requests bypass the cache.
func (c *Cache) cacheRequest(ctx context.Context, p *graphqlhttp.Parameters, h http.Header, media string) *cacheRequest {
	h = withDirectives(p, h)
	req := &cacheRequest{ctx: ctx, media: media, noCache: noCache(h), bypass: true}
	hash, persisted, ok := p.Hash()
	if !ok {
		return req
	}
	req.document, req.text = p.Document(hash), p.Query
	req.key = c.keyOf(ctx, p, req.document, media)
	req.bypass = operation.TraceModeOf(ctx) != operation.Untraced || noStore(h)
	if persisted && p.Query != "" {
		req.persist, req.hash = p.Query, hex.EncodeToString(hash[:])
	}
	return req
}

// withDirectives returns the header with the cache directives of the extensions.
func withDirectives(p *graphqlhttp.Parameters, h http.Header) http.Header {
	directives := p.CacheControl()
	if directives == "" {
		return h
	}
	return http.Header{"Cache-Control": append(slices.Clone(h.Values("Cache-Control")), directives)}
}

// keyOf returns the key: a hash over each part with its length.
func (c *Cache) keyOf(ctx context.Context, p *graphqlhttp.Parameters, document graphqlhttp.DocumentKey, media string) answerKey {
	who := principal.FromContext(ctx)
	sc, _ := scope.FromContext(ctx)
	variables := p.Variables
	if len(variables) > 0 {
		variables = variables.Clone()
		if variables.Compact() != nil { // numbers are not canonicalised, since large ones would be rounded
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
	text = append(text, c.schema[:]...)
	return answerKey{sum: sha256.Sum256(text), limits: who.Limits()}
}

// noCache reports whether the client accepts no cached answer (RFC 9111, section 5.2.1).
func noCache(h http.Header) bool {
	if len(h.Values("Cache-Control")) == 0 {
		return strings.EqualFold(h.Get("Pragma"), "no-cache")
	}
	return hasDirective(h, "no-cache") || hasDirective(h, "max-age=0")
}

// noStore reports whether the answer must not be stored (RFC 9111, section 5.2.1.5).
func noStore(h http.Header) bool { return hasDirective(h, "no-store") }

// hasDirective reports whether Cache-Control has the directive.
func hasDirective(h http.Header, directive string) bool {
	for _, value := range h.Values("Cache-Control") {
		for d := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(d), directive) {
				return true
			}
		}
	}
	return false
}
