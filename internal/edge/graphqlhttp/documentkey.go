package graphqlhttp

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DocumentKey names an operation of a document: the document's hash, or where the
// operation is named, a hash of both.
type DocumentKey [sha256.Size]byte

// CacheControl is the member cacheControl of the request's extensions: what the header
// Cache-Control says, for clients that cannot set a header, such as an EventSource, or not
// for one operation, as over a WebSocket.
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
	_ = json.Unmarshal(extensions.CacheControl, &directives) // it is a string
	return directives
}

// Document names the operation of the document with that hash.
func (p *Parameters) Document(hash [sha256.Size]byte) DocumentKey {
	if p.OperationName == "" {
		return DocumentKey(hash)
	}
	return sha256.Sum256(append(hash[:], p.OperationName...))
}

// Hash is the document's, as automatic persisted queries have it, and whether it is one of
// those. Where both are there, they must be the same.
func (p *Parameters) Hash() (hash [sha256.Size]byte, isPersisted, ok bool) {
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
