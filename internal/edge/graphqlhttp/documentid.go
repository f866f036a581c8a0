package graphqlhttp

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// DocumentResolver finds the documents that requests name.
type DocumentResolver interface {
	// Resolve sets the text of the document that p names, or refuses p. Each transport calls it
	// once with the parameters of a request.
	Resolve(p *Parameters)
}

// setDocumentID stores the member documentId, or doc_id of older clients of Relay.
func (p *Parameters) setDocumentID(member, id string) error {
	if p.DocumentID != "" && p.DocumentID != id {
		return fault.BadInput(member, "differs from the other name of the document")
	}
	p.DocumentID = id
	return nil
}

// PersistedHash returns the member sha256Hash of the extension persistedQuery. It is empty if
// the extension is absent or malformed.
func (p *Parameters) PersistedHash() string {
	if !bytes.Contains(p.Extensions, []byte("persistedQuery")) {
		return ""
	}
	var extensions struct {
		PersistedQuery struct {
			Version int    `json:"version"`
			Hash    string `json:"sha256Hash"`
		} `json:"persistedQuery"`
	}
	if json.Unmarshal(p.Extensions, &extensions, jsontext.AllowDuplicateNames(true)) != nil || extensions.PersistedQuery.Version != 1 {
		return ""
	}
	return extensions.PersistedQuery.Hash
}

// SetDocument sets the text of the document that the request names. The extension
// persistedQuery has no effect then.
func (p *Parameters) SetDocument(text string) { p.Query, p.resolved = text, true }

// Refuse lets the execution fail with err.
func (p *Parameters) Refuse(err *fault.Error) { p.refusal = err }

// Refusal returns the error of Refuse; nil: the operation may run.
func (p *Parameters) Refusal() *fault.Error { return p.refusal }
