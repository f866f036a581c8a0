package trusteddocuments

import (
	"crypto/sha256"
	"regexp"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// notTrusted is the message of an error.
const notTrusted = "only trusted documents run, and this is none"

// Resolve sets the text of the document that p names, or refuses p; see
// graphqlhttp.DocumentResolver. It does not parse documents, except those that select the schema.
func (l *List) Resolve(p *graphqlhttp.Parameters) {
	if err := l.resolve(p); err != nil {
		p.Refuse(err)
	}
}

func (l *List) resolve(p *graphqlhttp.Parameters) *fault.Error {
	only := l != nil && l.opts.Mode == Only
	persisted := p.PersistedID()
	id := p.DocumentID
	switch {
	case id == "":
		id = persisted
	case persisted != "" && strings.TrimPrefix(persisted, graphqlhttp.HashPrefix) != strings.TrimPrefix(id, graphqlhttp.HashPrefix):
		return fault.BadInput("documentId", "differs from the hash of the extension persistedQuery")
	}
	text, known := l.find(id)
	automatic := persisted == "" || p.PersistsByHash()
	switch {
	case p.Query == "" && known:
		p.SetDocument(text)
		return nil
	case p.Query == "" && (!only && automatic && p.DocumentID == "" || id == "" && len(p.Extensions) == 0):
		return nil // an automatic persisted query, or nothing
	case p.Query == "":
		return fault.New(fault.PersistedQueryNotFound, "PersistedQueryNotFound")
	case only && !l.trusts(p.Query):
		return fault.New(fault.DocumentNotTrusted, notTrusted)
	case known && text == p.Query:
		p.SetDocument(text)
		return nil
	case known, only && p.DocumentID != "":
		return fault.BadInput("query", "is not the text of the document that the request names")
	case !automatic:
		return fault.BadInput("extensions.persistedQuery.sha256Hash", "is neither the id of a trusted document nor the SHA-256 of the text in hexadecimal")
	default:
		return nil // the extension compares a hash with its text
	}
}

// typename matches the query by which health checks of clients and proxies look for a server.
var typename = regexp.MustCompile(`^\s*(query(\s+[_A-Za-z][_0-9A-Za-z]*)?)?\s*\{\s*__typename\s*\}\s*$`)

// trusts reports whether a text is that of a trusted document, or may run without being one.
func (l *List) trusts(text string) bool {
	if _, ok := l.current.Load().byHash[sha256.Sum256([]byte(text))]; ok {
		return true
	}
	return len(text) <= maxTypename && typename.MatchString(text) || !l.opts.Limits.NoIntrospection && isIntrospection(text)
}

const (
	// maxTypename bounds the texts that typename is compared with, in bytes.
	maxTypename = 256
	// maxIntrospection and maxIntrospectionTokens bound a query of the schema. That of GraphiQL
	// has 3 KB and 350 tokens.
	maxIntrospection, maxIntrospectionTokens = 16 << 10, 2_000
)

// schemaFields matches the root fields that read the schema.
var schemaFields = regexp.MustCompile(`__(schema|type)\b|\b_service\b`)

// isIntrospection reports whether a document reads nothing but the schema.
func isIntrospection(text string) bool {
	if len(text) > maxIntrospection || !schemaFields.MatchString(text) {
		return false
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxIntrospectionTokens)
	if err != nil || len(document.Operations) == 0 {
		return false
	}
	for _, op := range document.Operations {
		if op.Operation != ast.Query || !graphqlhttp.SelectsOnly(document, op.SelectionSet, "__schema", "__type", "_service", "__typename") {
			return false
		}
	}
	return true
}
