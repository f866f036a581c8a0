package graphqlhttp

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DocumentKey identifies an operation: by the document's hash or, if the operation has a name,
// by a hash of both.
type DocumentKey [sha256.Size]byte

// CacheControl returns the member cacheControl of the request's extensions. It replaces the
// header Cache-Control for clients that cannot set one, such as an EventSource, or not per
// operation, as over a WebSocket.
func (p *Parameters) CacheControl() string {
	if len(p.Extensions) == 0 {
		return ""
	}
	var extensions struct {
		CacheControl jsontext.Value `json:"cacheControl"`
	}
	if json.Unmarshal(p.Extensions, &extensions, jsontext.AllowDuplicateNames(true)) != nil || extensions.CacheControl.Kind() != '"' {
		return ""
	}
	var directives string
	_ = json.Unmarshal(extensions.CacheControl, &directives) // it is a valid string
	return directives
}

// Document identifies the operation in the document with that hash.
func (p *Parameters) Document(hash [sha256.Size]byte) DocumentKey {
	if p.OperationName == "" {
		return DocumentKey(hash)
	}
	return sha256.Sum256(append(hash[:], p.OperationName...))
}

// Hash returns the document's hash, and whether it comes from an automatic persisted query. A
// text and a hash must match.
func (p *Parameters) Hash() (hash [sha256.Size]byte, isPersisted, ok bool) {
	if p.Query != "" {
		hash = sha256.Sum256([]byte(p.Query))
	}
	switch {
	case p.refusal != nil:
		return hash, false, false
	case p.persisted == "" || p.resolved:
		return hash, false, p.Query != ""
	case !p.PersistsByHash():
		return hash, true, false
	}
	var named [sha256.Size]byte
	_, _ = hex.Decode(named[:], []byte(p.persisted)) // it is a hash
	return named, true, p.Query == "" || named == hash
}
