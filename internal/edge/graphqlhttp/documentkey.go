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
	case len(p.Extensions) == 0, string(p.Extensions) == "null", p.resolved:
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
		return hash, true, false // the extension refuses it
	}
	if p.Query != "" {
		return hash, true, [sha256.Size]byte(named) == hash
	}
	return [sha256.Size]byte(named), true, true
}
