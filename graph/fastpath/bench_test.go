package fastpath

import (
	"io"
	"syscall"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/loader"
)

// operation is one that is measured.
type operation struct{ name, query string }

func operations() []operation { return []operation{{"list", listQuery}, {"join", joinQuery}} }

// BenchmarkMemory measures execution alone: a parsed document and a console that
// answers out of memory at once.
func BenchmarkMemory(b *testing.B) {
	s := newSite(b)
	benchmark(b, s, s.prepare(b))
}

// BenchmarkHTTP measures the same with a simulated console, in this process, that is
// asked over HTTP. Its own work is in the figures: only their differences say something.
func BenchmarkHTTP(b *testing.B) {
	s := newSite(b)
	benchmark(b, s, s.client)
}

// benchmark compares gqlgen with the prototypes.
func benchmark(b *testing.B, s *site, console loader.Console) {
	loaders, _ := s.overLoaders(b, console)
	batches, _ := s.overBatches(b, console)
	for _, op := range operations() {
		for _, c := range []struct {
			name string
			*engine
		}{{"gqlgen", s.gqlgen(b, console)}, {"plan-loaders", loaders}, {"plan-batches", batches}} {
			b.Run(op.name+"/"+c.name, func(b *testing.B) {
				size := len(c.text(b, op.query, nil)) // the loaders now know their console
				s.sim.ResetCounts()
				measure(b, func() error { return c.answer(b.Context(), io.Discard, op.query, nil) })
				b.SetBytes(int64(size))
				b.ReportMetric(float64(s.calls())/float64(b.N), "calls/op")
			})
		}
	}
}

// BenchmarkDocument measures what comes before execution: a document found in the
// query cache, one parsed and validated, and one compiled into a plan.
func BenchmarkDocument(b *testing.B) {
	s := newSite(b)
	for _, op := range operations() {
		params := func() *graphql.RawParams { return &graphql.RawParams{Query: op.query} }
		ctx := graphql.StartOperationTrace(b.Context())
		for name, cache := range map[string]graphql.Cache[*ast.QueryDocument]{
			"cached": lru.New[*ast.QueryDocument](100),
			"parsed": graphql.NoCache[*ast.QueryDocument]{},
		} {
			b.Run(op.name+"/"+name, func(b *testing.B) {
				e := s.gqlgen(b, s.client)
				e.SetQueryCache(cache)
				measure(b, func() error {
					if _, errs := e.CreateOperationContext(ctx, params()); errs != nil {
						return errs
					}
					return nil
				})
			})
		}
		b.Run(op.name+"/compiled", func(b *testing.B) {
			e := s.gqlgen(b, s.client)
			measure(b, func() error {
				known, errs := e.CreateOperationContext(ctx, params())
				if errs != nil {
					return errs
				}
				if compilePlan(known) == nil {
					return errNoPlan
				}
				return nil
			})
		})
	}
}

// measure runs f and reports the CPU time of the process beside the rest.
func measure(b *testing.B, f func() error) {
	b.Helper()
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpu is the time of all processors that this process has taken, in nanoseconds.
func cpu(b *testing.B) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

func (s *site) calls() (n int) {
	for _, of := range s.sim.Counts() {
		n += of
	}
	return n
}
