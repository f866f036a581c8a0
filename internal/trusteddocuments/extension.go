package trusteddocuments

import (
	"context"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/operation"
)

// Extension logs documents that run and are not trusted. A nil List logs none.
type Extension struct{ List *List }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = Extension{}

// ExtensionName is the name under which gqlgen knows the extension.
func (Extension) ExtensionName() string { return "TrustedDocuments" }

// Validate accepts every schema.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext logs the document of an operation, once an hour. In the mode Only, Resolve has refused it before.
func (e Extension) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	l := e.List
	if l == nil || l.trusts(op.RawQuery) {
		return nil
	}
	of := operation.Describe(op)
	key := of.Document
	if key == "" {
		key = of.Name
	}
	switch l.logged.first(key, time.Now()) {
	case firstTime:
		l.opts.Logger.WarnContext(ctx, "a document ran that is not trusted", "document", of.Document, "type", of.Type, "name", of.Name)
	case setFull:
		l.opts.Logger.WarnContext(ctx, "more documents ran that are not trusted; they are not listed")
	case repeated:
	}
	return nil
}

const (
	// logEvery is the time between two lines about one document.
	logEvery = time.Hour
	// maxLogged bounds the documents in memory. Further ones are not logged.
	maxLogged = 10_000
)

// logged remembers the documents of the last hour. The zero value is ready for use.
type logged struct {
	mu        sync.Mutex
	loggedAt  map[string]time.Time
	fullUntil time.Time
}

// occurrence tells whether a line is due.
type occurrence int

const (
	repeated  occurrence = iota
	firstTime            // of the document
	setFull              // of the state in which documents are not remembered
)

// first records a document, and tells whether a line is due.
func (l *logged) first(document string, now time.Time) occurrence {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, known := l.loggedAt[document]; known && now.Sub(at) < logEvery {
		return repeated
	}
	if len(l.loggedAt) >= maxLogged {
		if now.Before(l.fullUntil) {
			return repeated
		}
		for other, at := range l.loggedAt {
			if now.Sub(at) >= logEvery {
				delete(l.loggedAt, other)
			}
		}
		if len(l.loggedAt) >= maxLogged {
			l.fullUntil = now.Add(logEvery)
			return setFull
		}
	}
	if l.loggedAt == nil {
		l.loggedAt = make(map[string]time.Time)
	}
	l.loggedAt[document] = now
	return firstTime
}
