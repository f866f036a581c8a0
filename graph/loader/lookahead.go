package loader

import (
	"context"
	"iter"
	"runtime/debug"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
)

// Look-ahead walks an operation level by level, ahead of its execution: it
// begins whatever the level needs of the console for all parents at once, sends
// the batches, waits for the answers that lead on, and goes down a level. The
// resolvers ask for the same things by the same functions and so find them
// asked for. There is no timer: a batch is full when the level has been walked.
//
// Look-ahead decides only when and with whom a key travels. Were it to overlook
// a field, its resolver would still be answered, by a call of its own.

// prefetcher is one walk over one operation.
type prefetcher struct {
	l       *Loaders
	ahead   []pending
	waits   [][]Loaded             // of what the last two levels have begun
	recent  int                    // how many of waits the level before had begun
	calls   int                    // reads of the levels before
	missing []beginning            // those of the level's probed reads that the cache does not answer
	probed  int                    // how many of the level's reads the cache was asked about
	excess  *fault.Error           // why the operation ends; nil if it does not
	visit   func(path, typ string) // called for each field that may call the console, and the type that it leads to; set in a dry run only
}

// path is the path of a field below another in a dry run.
func (k *prefetcher) path(parent string, f graphql.CollectedField) string {
	if k.visit == nil {
		return ""
	}
	return parent + f.Alias + "."
}

// pending is a field whose answers lead on to the next level.
type pending struct {
	to    string
	below Selection
	path  string // in a dry run
	waits []Loaded
}

// LookAheadQuery looks ahead over a query, once; calls after the first do nothing.
func (l *Loaders) LookAheadQuery(ctx context.Context) {
	l.plan.Do(func() {
		op := graphql.GetOperationContext(ctx)
		all := Selection{op, op.Operation.SelectionSet}
		if err := l.badInput("Query", all, ""); err != nil {
			l.refuse(err)
			return
		}
		l.LookAhead("Query", all, nil)
	})
}

// PlanPayload looks ahead over what is selected of a mutation's payload. The
// mutation's resolver calls it when the change has been made.
func (l *Loaders) PlanPayload(ctx context.Context, payload any) {
	l.unreserve()
	l.LookAhead(graphql.GetFieldContext(ctx).Field.Definition.Type.Name(), Selected(ctx), payload)
}

// ReserveCalls sets n calls aside for the change of a mutation's field, where that takes more
// than one.
func (l *Loaders) ReserveCalls(n int) error { return l.calls.Reserve(l.writes + n) }

// unreserve leaves what is set aside to the fields that follow.
func (l *Loaders) unreserve() { _ = l.calls.Reserve(l.writes) } // not more than before

// LookAhead begins the walk from one object: the first level at once, and what is below
// it beside the execution.
func (l *Loaders) LookAhead(typ string, s Selection, object any) {
	l.levelSent(true)
	look := &prefetcher{l: &Loaders{execution: l.execution, ahead: true}}
	whole := look.guard(func() {
		look.walk(typ, s, []any{object}, "")
		look.check()
		look.startFirst()
		look.send()
		look.finish()
	})
	if !whole || len(look.ahead) == 0 {
		look.end()
		return
	}
	l.tasks.Go(func() {
		defer look.end()
		look.guard(look.descend)
	})
}

// guard runs part of the walk; ok: it did not panic.
func (k *prefetcher) guard(part func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			k.l.engine.opts.Logger.Error("panic in look-ahead", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	part()
	return true
}

// end sends what is left and lets every later load travel alone.
func (k *prefetcher) end() {
	k.l.flush()
	k.l.levelSent(false)
}

func (k *prefetcher) descend() {
	for len(k.ahead) > 0 {
		k.descendLevel()
	}
}

// descendLevel walks the next level and begins what it needs.
func (k *prefetcher) descendLevel() {
	level := k.ahead
	k.ahead = nil
	k.waits, k.recent = k.waits[k.recent:], len(k.waits)-k.recent
	early := k.early()
	for p, objects := range k.answered(level) {
		k.walk(p.to, p.below, objects, p.path)
		if early -= len(k.l.begun); early >= 0 {
			k.start()
		}
	}
	k.startLevel()
}

// startLevel begins what is left of a level.
func (k *prefetcher) startLevel() {
	k.check()
	k.start()
	k.send()
	k.finish()
}

// check refuses the level if it needs more calls than the operation may send.
func (k *prefetcher) check() {
	if k.excess == nil && k.full() {
		k.refuse(0)
	}
}

// start begins what is not done by batches.
func (k *prefetcher) start() {
	k.calls += len(k.l.begun)
	for _, b := range k.l.begun {
		if !b.isBegun() {
			b.release()
			k.l.tasks.Go(b.begin)
		}
	}
	k.started()
}

// startFirst is start for the first level. One thing alone is left to the resolver that is
// about to wait for it, and saves a goroutine.
func (k *prefetcher) startFirst() {
	all := len(k.l.begun)
	if k.l.begun = slices.DeleteFunc(k.l.begun, beginning.isBegun); len(k.l.begun) > 1 || k.l.gathers() {
		k.start()
	}
	for _, b := range k.l.begun {
		b.release()
	}
	k.calls = all
	k.started()
}

// send sends the batches of a level.
func (k *prefetcher) send() {
	k.l.awaitLists()
	k.l.flush()
	k.l.levelSent(true)
	next := k.l.next
	k.l.next = nil
	if len(next) == 0 {
		return
	}
	k.l.tasks.Go(func() {
		for _, begin := range next {
			begin()
		}
	})
}

// answered yields the fields of a level with their objects, each as soon as its answers are there.
func (k *prefetcher) answered(level []pending) iter.Seq2[pending, []any] {
	return func(yield func(pending, []any) bool) {
		if len(level) == 1 {
			yield(level[0], level[0].objects())
			return
		}
		objects := make([][]any, len(level))
		done := make(chan int, len(level))
		for i, p := range level {
			go k.guard(func() {
				defer func() { done <- i }()
				objects[i] = p.objects()
			})
		}
		for range level {
			if i := <-done; !yield(level[i], objects[i]) {
				return
			}
		}
	}
}

// objects waits for the answers and gives each object in them once.
func (p pending) objects() []any {
	var objects []any
	seen := make(map[any]struct{})
	for _, wait := range p.waits {
		wait.Visit(func(child any) {
			if _, ok := seen[child]; !ok {
				seen[child] = struct{}{}
				objects = append(objects, child)
			}
		})
	}
	return objects
}

// walk begins what the selection takes of the console for the objects of type typ.
func (k *prefetcher) walk(typ string, s Selection, objects []any, path string) {
	if len(objects) == 0 || k.excess != nil {
		return
	}
	known := k.l.engine.relations[typ]
	fields := s.Fields(typ)
	for n, f := range fields {
		e, ok := known[f.Name]
		if !ok {
			continue
		}
		below, at := s.Below(f), k.path(path, f)
		if e.Inline != nil {
			if k.leadsOn(e.To, below) {
				k.walk(e.To, below, children(e, objects), at)
			}
			continue
		}
		if k.visit != nil {
			k.visit(at, e.To)
		}
		waits := make([]Loaded, len(objects))
		for i, o := range objects {
			if k.full() {
				k.refuse(len(objects) - i + calling(typ, known, fields[n+1:])*len(objects))
				return
			}
			waits[i] = e.Load(k.l, o, FieldCall{Field: f, Selection: below})
		}
		k.waits = append(k.waits, waits)
		if k.leadsOn(e.To, below) {
			k.ahead = append(k.ahead, pending{to: e.To, below: below, path: at, waits: waits})
		}
	}
}

// calling counts the fields that take a call of their own for each parent.
func calling(typ string, known map[string]Relation, fields []graphql.CollectedField) int {
	if typ == "Query" {
		return 0 // its lists are few
	}
	n := 0
	for _, f := range fields {
		if known[f.Name].Lists {
			n++
		}
	}
	return n
}

func children(e Relation, parents []any) []any {
	var all []any
	for _, p := range parents {
		e.Inline(p, func(child any) { all = append(all, child) })
	}
	return all
}

// leadsOn says whether the selection on typ takes anything more of the console.
func (k *prefetcher) leadsOn(typ string, s Selection) bool {
	known := k.l.engine.relations[typ]
	for _, f := range s.Fields(typ) {
		e, ok := known[f.Name]
		if ok && (e.Load != nil || k.leadsOn(e.To, s.Below(f))) {
			return true
		}
	}
	return false
}
