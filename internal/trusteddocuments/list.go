// Package trusteddocuments holds the documents that may run: the list that manifests of clients
// define, and the texts of automatic persisted queries that replicas share.
package trusteddocuments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
)

// Mode tells which documents run.
type Mode string

// The modes.
const (
	// Log runs all documents, and logs those that are not trusted.
	Log Mode = "log"
	// Only runs trusted documents only.
	Only Mode = "only"
)

// Options are the parameters of a List. All are required.
type Options struct {
	// Path is a manifest, or a folder of manifests.
	Path string
	Mode Mode
	// Schema and Limits decide which documents are valid. Documents that select the schema run
	// unless Limits.NoIntrospection is set.
	Schema *ast.Schema
	Limits querylimit.Limits
	// Parsed gets the parsed documents.
	Parsed graphql.Cache[*ast.QueryDocument]
	// Loaded gets the named operations of the list whenever it is loaded, with the descriptions beside the manifests. If
	// it is nil, the descriptions are not read.
	Loaded func([]Operation)
	// Logger receives refused documents, and documents that ran and are not trusted.
	Logger *slog.Logger
}

// List is the list of trusted documents. All methods except Reload are safe for concurrent use.
// A nil List has no documents and lets all run.
type List struct {
	opts    Options
	current atomic.Pointer[documents]
	logged  logged
}

// documents are the valid documents of all manifests.
type documents struct {
	byID   map[string]string // texts by id, without the prefix of hashes
	byHash map[[sha256.Size]byte]string
	names  []string // of operations, sorted

	refused int // documents that are not trusted
}

// maxRefusals bounds the refused documents of one load that are logged one by one.
const maxRefusals = 100

// Open reads the manifests of a path.
func Open(o Options) (*List, error) {
	l := &List{opts: o}
	return l, l.Reload()
}

// Paths returns the paths of the manifests, and of the descriptions beside them, which need not exist.
func (l *List) Paths() []string {
	all, err := Manifests(l.opts.Path)
	if err != nil {
		return []string{l.opts.Path} // Reload returns the error
	}
	if l.opts.Loaded == nil {
		return all
	}
	for _, manifest := range slices.Clone(all) {
		all = append(all, descriptionsFile(manifest))
	}
	return all
}

// Reload reads the manifests again, and parses and validates their documents. It logs and omits
// documents that are invalid, and ids with two texts. If a manifest or the descriptions beside it
// cannot be read, the present list stays in force.
func (l *List) Reload() error {
	files, err := Manifests(l.opts.Path)
	if err != nil {
		return err
	}
	var entries []Entry
	described := make(map[string]map[string]string, len(files))
	for _, file := range files {
		of, err := ReadManifest(file)
		if err != nil {
			return err
		}
		if l.opts.Loaded != nil {
			if described[file], err = readDescriptions(file); err != nil {
				return err
			}
		}
		entries = append(entries, of...)
	}
	next, parsed, refused := l.load(entries)
	next.refused = len(refused)
	for i, r := range refused {
		if i == maxRefusals {
			l.opts.Logger.Error("more documents are not trusted", "documents", len(refused)-i)
			break
		}
		l.opts.Logger.Error("a document is not trusted", "file", r.File, "id", r.ID, "name", r.Name, "error", r.reason)
	}
	l.current.Store(next)
	if l.opts.Loaded != nil {
		logUnused(l.opts.Logger, entries, parsed, described)
		l.opts.Loaded(operationsOf(entries, parsed, described))
	}
	l.opts.Logger.Info("trusted documents", "mode", string(l.opts.Mode), "documents", len(next.byID), "refused", len(refused))
	return nil
}

// refusal is an entry that is not trusted.
type refusal struct {
	Entry
	reason string
}

// load validates entries. Each text is validated once. parsed are the valid documents by their texts.
func (l *List) load(entries []Entry) (next *documents, parsed map[string]*ast.QueryDocument, refused []refusal) {
	next = &documents{byID: make(map[string]string), byHash: make(map[[sha256.Size]byte]string)}
	parsed = make(map[string]*ast.QueryDocument)
	checkID := IDChecker(entries)
	reasons, names, valid := make(map[string]string), make(map[string]bool), make(map[string]*ast.QueryDocument)
	for _, e := range entries {
		id := strings.TrimPrefix(e.ID, graphqlhttp.HashPrefix)
		reason, known := reasons[e.Text]
		if !known {
			valid[e.Text], reason = l.validate(e.Text, names)
			reasons[e.Text] = reason
		}
		if bad := checkID(e); bad != "" {
			reason = bad
		}
		if reason != "" {
			refused = append(refused, refusal{e, reason})
			continue
		}
		next.byID[id] = e.Text
		next.byHash[sha256.Sum256([]byte(e.Text))] = e.Text
		parsed[e.Text] = valid[e.Text]
	}
	next.names = slices.Sorted(maps.Keys(names))
	return next, parsed, refused
}

// IDChecker returns a function that tells why the id of an entry names no document; empty: it names one. An id with the prefix
// of hashes, or that is the hash of a text, names that text only.
func IDChecker(entries []Entry) func(Entry) string {
	texts, hashed := make(map[string]string), make(map[[sha256.Size]byte]string)
	ambiguous := make(map[string]bool)
	for _, e := range entries {
		id := strings.TrimPrefix(e.ID, graphqlhttp.HashPrefix)
		if text, known := texts[id]; known && text != e.Text {
			ambiguous[id] = true
		}
		texts[id] = e.Text
		hashed[sha256.Sum256([]byte(e.Text))] = e.Text
	}
	return func(e Entry) string {
		id, prefixed := strings.CutPrefix(e.ID, graphqlhttp.HashPrefix)
		hash, isHash := hashOfID(id)
		text, known := hashed[hash]
		switch {
		case id == "":
			return "it has no id"
		case ambiguous[id]:
			return "its id has two texts"
		case prefixed && (!isHash || !known || text != e.Text):
			return "its id is not the SHA-256 of its text"
		case isHash && known && text != e.Text:
			return "its id is the SHA-256 of another text"
		default:
			return ""
		}
	}
}

// hashOfID returns the SHA-256 that an id without the prefix of hashes is in hexadecimal; false: it is none.
func hashOfID(id string) (hash [sha256.Size]byte, ok bool) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(hash) {
		return hash, false
	}
	return [sha256.Size]byte(raw), true
}

// validate parses a document and adds the names of its operations. It returns the reason for
// which the document is invalid; empty: it is valid.
func (l *List) validate(text string, names map[string]bool) (*ast.QueryDocument, string) {
	document, errs := querylimit.Parse(l.opts.Schema, text, l.opts.Limits)
	if len(errs) > 0 {
		return nil, Reason(errs[0])
	}
	l.opts.Parsed.Add(context.Background(), text, document)
	for _, op := range document.Operations {
		if op.Name != "" {
			names[op.Name] = true
		}
	}
	return document, ""
}

// Reason describes an error of the parser or the validator with its position.
func Reason(err *gqlerror.Error) string {
	message := err.Message
	if len(err.Locations) > 0 {
		at := err.Locations[0]
		message = fmt.Sprintf("%s (line %d, column %d)", message, at.Line, at.Column)
	}
	return message
}

// Names returns the names of the operations of all trusted documents, sorted.
func (l *List) Names() []string {
	if l == nil {
		return nil
	}
	return l.current.Load().names
}

// Refused returns the number of documents of the manifests that are not trusted.
func (l *List) Refused() int { return l.current.Load().refused }

// Len returns the number of trusted documents.
func (l *List) Len() int { return len(l.current.Load().byID) }

// find returns the text of a document by its id, or by the SHA-256 of its text in hexadecimal.
func (l *List) find(id string) (text string, ok bool) {
	if l == nil || id == "" {
		return "", false
	}
	id = strings.TrimPrefix(id, graphqlhttp.HashPrefix)
	now := l.current.Load()
	if text, ok := now.byID[id]; ok {
		return text, true
	}
	hash, ok := hashOfID(id)
	if !ok {
		return "", false
	}
	text, ok = now.byHash[hash]
	return text, ok
}
