package responsecache

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/redistest"
)

// page is about the size of a list of 50 workflows: 22 KB of JSON.
type page struct{ Items []map[string]string }

func newPage() *page {
	p := &page{}
	for i := range 50 {
		item := map[string]string{}
		for j := range 12 {
			item[fmt.Sprint("field", j)] = fmt.Sprintf("value-%d-%d-abcdefgh", i, j)
		}
		p.Items = append(p.Items, item)
	}
	return p
}

func BenchmarkHit(b *testing.B) {
	for _, mode := range []string{"alone", "replica"} {
		b.Run(mode, func(b *testing.B) {
			o := Options{Policies: Policies{"k": {Life: time.Hour}}}
			var c *Cache
			if mode == "alone" {
				c = newCache(b, o)
			} else {
				c = newReplica(b, redistest.Start(b), o)
			}
			v := view(b, c, Kind[*page]{})
			p := newPage()
			r := Read[*page]{
				Key:  Key{Principal: "principal", Call: "GET /openapi/workflows company department 0 500"},
				Tags: []string{"company", "department", "workflows"},
				Load: func(context.Context) (*page, error) { return p, nil },
			}
			if _, _, err := v.Get(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			begun := processorTime(b)
			for b.Loop() {
				if _, info, err := v.Get(context.Background(), r); info.Source != Memory || err != nil {
					b.Fatal(info.Source, err)
				}
			}
			// CPU time depends little on other load.
			b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime returns the CPU time of this process in nanoseconds.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

func BenchmarkMiss(b *testing.B) {
	for _, mode := range []string{"alone", "replica"} {
		b.Run(mode, func(b *testing.B) {
			o := Options{Policies: Policies{"k": {Life: time.Hour}}}
			var c *Cache
			if mode == "alone" {
				c = newCache(b, o)
			} else {
				c = newReplica(b, redistest.Start(b), o)
			}
			p := newPage()
			v := view(b, c, Kind[*page]{Size: func(*page) int { return 40_000 }})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := Read[*page]{
					Key: Key{Principal: "principal", Call: fmt.Sprint(i)}, Tags: []string{"company", "department", "workflows"},
					Load: func(context.Context) (*page, error) { return p, nil },
				}
				if _, _, err := v.Get(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInvalidate(b *testing.B) {
	for _, replicas := range []int{0, 1, 2, 3} {
		b.Run(fmt.Sprint(replicas, " replicas"), func(b *testing.B) {
			o := Options{Policies: Policies{"k": {Life: time.Hour}}}
			c := newCache(b, o)
			if replicas > 0 {
				s := redistest.Start(b)
				for range replicas {
					c = newReplica(b, s, o)
				}
				waitIdle(b, c)
			}
			for b.Loop() {
				if err := c.Invalidate(context.Background(), "company", "department", "workflows"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValid(b *testing.B) {
	c := newCache(b, Options{Policies: Policies{"k": {Life: time.Hour}}})
	v := view(b, c, Kind[int64]{})
	con := &console{}
	deps := make([]Dependency, 0, 50)
	for i := range 50 {
		deps = append(deps, want(b, v, con.read(fmt.Sprint(i), "company", fmt.Sprint("entity", i)), int64(i+1), Loaded).Dependency)
	}
	all := Combine(deps...)
	b.ReportAllocs()
	for b.Loop() {
		if !c.Valid(all) {
			b.Fatal("not valid")
		}
	}
}
