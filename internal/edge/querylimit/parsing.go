package querylimit

import (
	"context"
	"errors"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/sync/semaphore"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// smallDocument is the length of a text, in bytes, up to which it is parsed at once.
	smallDocument = 4 << 10
	// parsedAtOnce bounds the texts of longer documents that are parsed and validated at the same time, in bytes. They
	// take parsedSizeRatio times as much memory.
	parsedAtOnce = 256 << 10
)

// Parsing bounds the memory of documents while they are parsed and validated. More documents at once would not be
// parsed sooner, since that work only needs processors.
type Parsing struct {
	known graphql.Cache[*ast.QueryDocument]
	bytes *semaphore.Weighted
	wait  time.Duration
}

// NewParsing returns a Parsing. Documents of the cache are parsed already. A document waits no longer than wait.
func NewParsing(known graphql.Cache[*ast.QueryDocument], wait time.Duration) *Parsing {
	return &Parsing{known: known, bytes: semaphore.NewWeighted(parsedAtOnce), wait: wait}
}

// begin waits until a text may be parsed. The caller calls end when it is parsed.
func (p *Parsing) begin(ctx context.Context, text string) (end func(), refused *gqlerror.Error) {
	if len(text) <= smallDocument {
		return func() {}, nil
	}
	if _, ok := p.known.Get(ctx, text); ok {
		return func() {}, nil
	}
	size := int64(min(len(text), parsedAtOnce))
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	if err := p.bytes.Acquire(ctx, size); errors.Is(err, context.DeadlineExceeded) {
		return nil, apierror.RefusalOf(fault.Busy("the gateway parses as many long documents as it can: send the operation again"))
	} else if err != nil {
		return nil, apierror.Refusal(fault.Internal, "the request was cancelled")
	}
	return func() { p.bytes.Release(size) }, nil
}
