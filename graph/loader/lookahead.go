package loader

import (
	"context"
	"errors"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/graph/sequential"
	"github.com/consoleql/consoleql/internal/fault"
)

// Look-ahead walks an operation level by level, before its resolvers. For each level it starts the reads of all parents
// at once, sends the batches, and waits for the objects of the next level. The resolvers then ask for the same reads
// through the same functions. There is no timer: a batch is complete when its level has been walked.
//
// Look-ahead only decides when a key is sent, and with which others. If it misses a field, the field's resolver makes a
// call of its own.

// prefetcher is one walk over one operation.
type prefetcher struct {
	loaders *Loaders
	next    []*pending
	waits   [][]Loaded             // what the last two levels have begun
	recent  int                    // how many of waits belong to the level before
	values  int                    // of the answer, at least
	bytes   int                    // what was begun, as far as no memory was taken for it
	visit   func(path, typ string) // in a dry run, receives each field that may call the console, and its type
}

// newPrefetcher returns a walk over the operation of l.
func newPrefetcher(l *Loaders) *prefetcher { return &prefetcher{loaders: l.ahead()} }

// ended reports whether no more reads are gathered.
func (pf *prefetcher) ended() bool {
	return pf.loaders.Level().Excess() != nil || pf.loaders.Context().Err() != nil
}

// advance starts the next stage of the field.
func (pf *prefetcher) advance(p *pending) {
	pf.visitField(p)
	level := pf.loaders.Level()
	for i, w := range p.waits {
		if pf.ended() {
			return
		}
		if level.Exceeds() {
			level.Refuse(len(p.waits) - i - 1)
			return
		}
		if s, ok := w.(staged); ok {
			s.advance(pf.loaders)
		}
	}
	pf.add(p)
}

// add adds a field whose reads were gathered.
func (pf *prefetcher) add(p *pending) {
	pf.waits = append(pf.waits, p.waits)
	if len(p.leading()) > 0 || p.more() {
		pf.next = append(pf.next, p)
	}
}

// visitField tells a dry run which kinds a field reads.
func (pf *prefetcher) visitField(p *pending) {
	if pf.visit == nil {
		return
	}
	for _, a := range p.aliases {
		pf.visit(a.path, p.relation.To)
		for _, typ := range p.reads {
			pf.visit(a.path, typ)
		}
	}
}

// lookAheadQuery looks ahead over a query. Later calls do nothing.
func (l *Loaders) lookAheadQuery(ctx context.Context) {
	l.plan.Do(func() {
		all := selection.OfOperation(graphql.GetOperationContext(ctx))
		if err := l.checkArguments("Query", all, ""); err != nil {
			l.addRefusal(err)
			return
		}
		l.LookAhead("Query", all, nil)
	})
}

// LookAheadPayload looks ahead over a mutation's payload. The mutation's resolver calls it after the change.
func (l *Loaders) LookAheadPayload(ctx context.Context, payload any) {
	l.unreserve()
	l.LookAhead(graphql.GetFieldContext(ctx).Field.Definition.Type.Name(), selection.Resolving(ctx), payload)
}

// ReserveCalls reserves n calls for the change of a mutation's field, if it needs more than one.
func (l *Loaders) ReserveCalls(n int) error { return l.Budget().Reserve(l.writes + n) }

// unreserve keeps reserved only what the following fields need.
func (l *Loaders) unreserve() { _ = l.Budget().Reserve(l.writes) } // not more than before

// LookAhead looks ahead from one object. It starts the reads of the first level at once, and those below on a goroutine.
// The time for the reads of a query, of a mutation's payload or of an event begins here.
func (l *Loaders) LookAhead(typ string, s selection.Set, object any) {
	l.StartTimeout()
	l.FinishLevel(true)
	k := newPrefetcher(l)
	ok := k.guard(func() {
		k.walk(typ, []alias{{below: s}}, []any{object})
		k.startLevel(l.hasBatches())
	})
	if !ok || len(k.next) == 0 {
		k.end()
		return
	}
	l.Go(func() {
		defer k.end()
		k.guard(k.descend)
	})
}

// guard runs a part of the walk. It returns false if the part panicked.
//
//nolint:contextcheck,nolintlint // callers, too: it uses the context of the operation
func (pf *prefetcher) guard(part func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			fault.LogPanic(pf.loaders.Context(), pf.loaders.Logger(), "panic in look-ahead", r)
		}
	}()
	part()
	return true
}

// end sends the remaining batches and ends look-ahead.
func (pf *prefetcher) end() {
	pf.loaders.flush()
	pf.loaders.FinishLevel(false)
}

func (pf *prefetcher) descend() {
	for len(pf.next) > 0 {
		pf.descendLevel()
	}
}

// descendLevel walks the next level and starts its reads. It waits for all fields of the level first, because ranges of
// one list share calls.
func (pf *prefetcher) descendLevel() {
	fields := pf.next
	pf.next = nil
	pf.waits, pf.recent = pf.waits[pf.recent:], len(pf.waits)-pf.recent
	for _, p := range fields {
		objects := p.objects()
		if p.more() {
			pf.advance(p)
		} else {
			pf.walk(p.relation.To, p.leading(), objects)
		}
	}
	pf.startLevel(true)
}

// startLevel starts the reads of a level; see batch.Level.Start for all.
func (pf *prefetcher) startLevel(all bool) {
	pf.check()
	pf.loaders.Level().Start(all)
	pf.send()
	pf.finish()
}

// check refuses the level if it exceeds the budget.
func (pf *prefetcher) check() {
	if level := pf.loaders.Level(); level.Excess() == nil && level.Exceeds() {
		level.Refuse(0)
	}
}

// send sends the batches of a level.
func (pf *prefetcher) send() {
	pf.loaders.awaitLists()
	pf.loaders.flush()
	pf.loaders.Level().Finish()
}

// finish ends an operation that exceeds its budget, when the reads that were started before have been answered.
func (pf *prefetcher) finish() {
	excess := pf.loaders.Level().Excess()
	if excess == nil {
		return
	}
	pf.next = nil
	for _, waits := range pf.waits {
		for _, wait := range waits {
			wait.Visit(func(any) {}) // the field's resolver reports an error
		}
	}
	_ = pf.loaders.Budget().Exceed(excess) // the resolvers report it
}

// walk gathers the reads of selections on objects of type typ.
func (pf *prefetcher) walk(typ string, selected []alias, objects []any) {
	if len(objects) == 0 {
		return
	}
	if isAbstract(typ) {
		for _, of := range objectTypes(typ) {
			pf.walk(of, selected, slices.DeleteFunc(slices.Clone(objects), func(o any) bool { return typeOf(o) != of }))
		}
		return
	}
	fields := pf.fields(typ, selected)
	for n, p := range fields {
		if pf.ended() {
			return
		}
		if p.relation.Load != nil {
			pf.load(p, objects, countLists(typ, fields[n+1:]))
		} else if below := p.leading(); len(below) > 0 {
			pf.walk(p.relation.To, below, children(p.relation, objects))
		}
	}
}

// load gathers the reads of a field of the objects. lists is how many of the following fields need a call for each.
func (pf *prefetcher) load(p *pending, objects []any, lists int) {
	pf.visitField(p)
	pf.values += len(objects) * len(p.aliases) // or an error for each
	if !pf.expect() {
		return
	}
	level := pf.loaders.Level()
	p.waits = make([]Loaded, len(objects))
	for i, o := range objects {
		if level.Exceeds() {
			level.Refuse(len(objects) - i + lists*len(objects))
		}
		if pf.ended() {
			return
		}
		p.waits[i] = p.relation.Load(pf.loaders, o, p.call)
	}
	pf.add(p)
	pf.bytes += len(p.waits) * bytesOf(p.waits[0])
	pf.expect()
}

// expect takes memory for what was begun. It returns false if the answer would have too many values, or there is no memory.
//
//nolint:contextcheck,nolintlint // callers, too: it uses the context of the operation
func (pf *prefetcher) expect() bool {
	bytes := 0
	if pf.bytes >= sequential.MemoryStep {
		bytes, pf.bytes = pf.bytes, 0
	}
	err := sequential.FromContext(pf.loaders.Context()).Expect(pf.values, bytes)
	if refusal, ok := errors.AsType[*fault.Error](err); ok {
		pf.loaders.Level().Fail(refusal)
	}
	return err == nil // otherwise, the context may have ended
}

// bytesOf estimates the memory that the reads of one field of one object take.
func bytesOf(l Loaded) int {
	if _, ok := l.(staged); ok {
		return 1024
	}
	return 128
}

// countLists counts the fields that need a call for each parent.
func countLists(typ string, fields []*pending) int {
	if typ == "Query" {
		return 0 // it has one parent
	}
	n := 0
	for _, p := range fields {
		if p.relation.Lists {
			n++
		}
	}
	return n
}

// children returns the objects that parents contain.
func children(r Relation, parents []any) []any {
	var all []any
	for _, p := range parents {
		r.Inline(p, func(child any) { all = append(all, child) })
	}
	return all
}
