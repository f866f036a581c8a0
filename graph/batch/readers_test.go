package batch

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
)

// slowRead is a read that takes a second.
type slowRead struct{ running, most, done *atomic.Int64 }

func (r slowRead) begin() {
	if n := r.running.Add(1); n > r.most.Load() {
		r.most.Store(n)
	}
	time.Sleep(time.Second)
	r.running.Add(-1)
	r.done.Add(1)
}

func (slowRead) release()        {}
func (slowRead) isBegun() bool   { return false }
func (slowRead) needsCall() bool { return true }
func (slowRead) fail(error)      {}

func TestOperationsShareGoroutines(t *testing.T) {
	for name, tt := range map[string]struct {
		shared, held int // goroutines of all operations, and of another one
		reads        int
		most         int64
		seconds      int
	}{
		"few reads":            {shared: 0, reads: 4, most: 4, seconds: 1},
		"none shared":          {shared: 0, reads: 8, most: 4, seconds: 2},
		"some shared":          {shared: 16, reads: 40, most: 4 + 9, seconds: 4},
		"another has its part": {shared: 32, held: 16, reads: 40, most: 4 + 8, seconds: 4},
		"enough shared":        {shared: 1000, reads: 128, most: 64, seconds: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := &quota.Quota{Total: tt.shared}
				if !shared.Take("bob", tt.held) {
					t.Fatal("the other operation has no goroutines")
				}
				x := New(principal.NewContext(t.Context(), principal.FromToken("ann")), Options{Concurrency: 64, Readers: shared})
				var running, most, done atomic.Int64
				level := x.LookAhead().Level()
				for range tt.reads {
					level.reads = append(level.reads, slowRead{&running, &most, &done})
				}
				began := time.Now()
				level.Start(true)
				for int(done.Load()) < tt.reads {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if int(done.Load()) != tt.reads || most.Load() != tt.most {
					t.Errorf("%d of %d reads were made, %d at once; want %d", done.Load(), tt.reads, most.Load(), tt.most)
				}
				if took := time.Since(began); took != time.Duration(tt.seconds)*time.Second {
					t.Errorf("they took %s, want %d s", took, tt.seconds)
				}
				if !shared.Take("carl", (tt.shared-tt.held+1)/2) {
					t.Error("goroutines were not given back")
				}
				x.Close()
			})
		})
	}
}
