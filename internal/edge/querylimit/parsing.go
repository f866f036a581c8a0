package querylimit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fairqueue"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// smallDocument is the length of a text, in bytes, up to which it is parsed at once.
	smallDocument = 4 << 10
	// parsedAtOnce bounds the texts of longer documents that are parsed and validated at the same time, in bytes. They
	// take parsedSizeRatio times as much memory.
	parsedAtOnce = 256 << 10
)

// Parsing bounds the memory of documents while they are parsed and validated. More documents at once would not be
// parsed sooner, since that work only needs processors. The documents of the callers take turns.
type Parsing struct {
	known graphql.Cache[*ast.QueryDocument]
	wait  time.Duration

	mu      sync.Mutex
	free    int // of parsedAtOnce
	waiting fairqueue.Queue[*longDocument]
}

// longDocument is a document that waits until it may be parsed.
type longDocument struct {
	size  int
	begun chan struct{} // closed when it may be parsed
}

// NewParsing returns a Parsing. Documents of the cache are parsed already. A document waits no longer than wait.
func NewParsing(known graphql.Cache[*ast.QueryDocument], wait time.Duration) *Parsing {
	return &Parsing{known: known, wait: wait, free: parsedAtOnce}
}

// begin waits until a text may be parsed. The caller calls end when it is parsed.
func (p *Parsing) begin(ctx context.Context, text string) (end func(), refused *gqlerror.Error) {
	if len(text) <= smallDocument {
		return func() {}, nil
	}
	if _, ok := p.known.Get(ctx, text); ok {
		return func() {}, nil
	}
	d := &longDocument{size: min(len(text), parsedAtOnce), begun: make(chan struct{})}
	place := p.push(principal.Caller(ctx), d)
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	select {
	case <-d.begun:
	case <-ctx.Done():
		switch {
		case !p.leave(place): // it has begun meanwhile
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return nil, apierror.RefusalOf(fault.Busy("the gateway parses as many long documents as it can: send the operation again"))
		default:
			return nil, apierror.Refusal(fault.Internal, "the request was cancelled")
		}
	}
	return func() { p.release(d.size) }, nil
}

// push adds a document as the last one of its caller.
func (p *Parsing) push(caller string, d *longDocument) *fairqueue.Item[*longDocument] {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.waiting.Push(caller, d)
	p.admit()
	return place
}

// leave removes a document; false: it does not wait any more.
func (p *Parsing) leave(place *fairqueue.Item[*longDocument]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.waiting.Remove(place)
	p.admit() // the next one may be shorter
	return left
}

// release frees the memory of a document that is parsed.
func (p *Parsing) release(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += size
	p.admit()
}

// admit admits the documents that are next, as far as there is memory. The caller holds mu.
func (p *Parsing) admit() {
	for d, ok := p.waiting.First(); ok && d.size <= p.free; d, ok = p.waiting.First() {
		p.waiting.Next(func(string) bool { return true })
		p.free -= d.size
		close(d.begun)
	}
}
