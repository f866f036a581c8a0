package graphqlhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// DocumentResolver finds the documents that requests name.
type DocumentResolver interface {
	// Resolve sets the text of the document that p names, or refuses p. Each transport calls it
	// once with the parameters of a request.
	Resolve(p *Parameters)
}

// HashPrefix may precede an id of a document that is a hash (GraphQL over HTTP, appendix Persisted Documents).
const HashPrefix = "sha256:"

// setDocumentID stores the member documentId, or doc_id of older clients of Relay.
func (p *Parameters) setDocumentID(member, id string) error {
	if p.DocumentID != "" && strings.TrimPrefix(p.DocumentID, HashPrefix) != strings.TrimPrefix(id, HashPrefix) {
		return fault.BadInput(member, "differs from the other name of the document")
	}
	p.DocumentID = id
	return nil
}

// SetQueryString reads the id of a document from the query string of a POST. It skips everything else there.
func (p *Parameters) SetQueryString(raw string) error {
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name != "documentId" && name != "doc_id" {
			continue
		}
		id, err := url.QueryUnescape(value)
		if err != nil || !utf8.ValidString(id) {
			return fault.BadInput(name, "cannot be decoded")
		}
		if id == "" {
			continue
		}
		if err := p.setDocumentID(name, id); err != nil {
			return err
		}
	}
	return nil
}

// maxPersistedID bounds the member sha256Hash, in bytes. Manifests may have other ids than hashes.
const maxPersistedID = 1024

// readPersisted reads the extension persistedQuery. It refuses every form but the one of automatic persisted queries, so that
// nothing else reads an id where this function finds none. Further members are skipped: urql sends miss.
func (p *Parameters) readPersisted() error {
	if len(p.Extensions) == 0 {
		return nil
	}
	return ReadMembers(p.Extensions, []string{"persistedQuery"}, func(_ string, value jsontext.Value) error {
		if value.Kind() == 'n' {
			return nil
		}
		version := ""
		err := ReadMembers(value, []string{"version", "sha256Hash"}, func(member string, value jsontext.Value) error {
			if member == "version" {
				version = string(value)
				return nil
			}
			return ReadString(member, value, &p.persisted)
		})
		if err != nil || version != "1" || p.persisted == "" || len(p.persisted) > maxPersistedID {
			p.persisted = ""
			return fault.BadInput("extensions.persistedQuery", "is not an object of version, the number 1, and sha256Hash, a string of 1 to %d bytes", maxPersistedID)
		}
		return nil
	})
}

// PersistedID returns the member sha256Hash of the extension persistedQuery; empty: there is none. Where it is no hash, it may
// be the id of a trusted document.
func (p *Parameters) PersistedID() string { return p.persisted }

// PersistsByHash reports whether the extension persistedQuery has a SHA-256 in hexadecimal, in lower case: the name of an
// automatic persisted query.
func (p *Parameters) PersistsByHash() bool {
	return len(p.persisted) == hex.EncodedLen(sha256.Size) && strings.Trim(p.persisted, "0123456789abcdef") == ""
}

// SetDocument sets the text of the document that the request names. The extension
// persistedQuery has no effect then.
func (p *Parameters) SetDocument(text string) { p.Query, p.resolved = text, true }

// Refuse lets the execution fail with err.
func (p *Parameters) Refuse(err *fault.Error) { p.refusal = err }

// Refusal returns the error of Refuse; nil: the operation may run.
func (p *Parameters) Refusal() *fault.Error { return p.refusal }
