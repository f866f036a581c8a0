package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
)

// faultyStore is a Memory that can change the answers of claims, and that can be replaced by an
// empty one.
type faultyStore struct {
	mu       sync.Mutex
	memory   *idempotency.Memory
	claimed  func(idempotency.Claim, error) (idempotency.Claim, error)
	finishes atomic.Int32
	down     atomic.Bool // Finish fails
}

func newFaultyStore() *faultyStore {
	return &faultyStore{memory: idempotency.NewMemory(idempotency.MemoryOptions{})}
}

// clear drops every record.
func (s *faultyStore) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory = idempotency.NewMemory(idempotency.MemoryOptions{})
}

// tamper changes the answers of claims.
func (s *faultyStore) tamper(with func(idempotency.Claim, error) (idempotency.Claim, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = with
}

func (s *faultyStore) stores() (*idempotency.Memory, func(idempotency.Claim, error) (idempotency.Claim, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory, s.claimed
}

func (s *faultyStore) Claim(ctx context.Context, r idempotency.Record) (idempotency.Claim, error) {
	memory, tamper := s.stores()
	c, err := memory.Claim(ctx, r)
	if tamper != nil {
		return tamper(c, err)
	}
	return c, err
}

func (s *faultyStore) Renew(ctx context.Context, r idempotency.Record) (bool, error) {
	memory, _ := s.stores()
	return memory.Renew(ctx, r)
}

func (s *faultyStore) Finish(ctx context.Context, r idempotency.Record, end idempotency.End) (bool, error) {
	s.finishes.Add(1)
	if s.down.Load() {
		return false, errors.New("away")
	}
	memory, _ := s.stores()
	return memory.Finish(ctx, r, end)
}

// TestCallerLeavesDuringClaim verifies that nothing starts for a caller that leaves during
// its claim, and that the key stays free.
func TestCallerLeavesDuringClaim(t *testing.T) {
	for name, failure := range map[string]error{"claimed": nil, "failed": errors.New("interrupted")} {
		t.Run(name, func(t *testing.T) {
			var c counter
			store := newFaultyStore()
			k := newExecutor(t, store, idempotency.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			store.tamper(func(c idempotency.Claim, _ error) (idempotency.Claim, error) {
				cancel()
				return c, failure
			})
			result, err := k.Do(ctx, key(t), input, c.completing())
			wantFault(t, result, err, fault.Internal, context.Canceled)
			c.want(t, 0)
			store.tamper(nil)
			result, err = k.Do(t.Context(), key(t), input, c.completing())
			wantResult(t, result, err, truth)
			c.want(t, 1)
		})
	}
}

// TestFirstCallerLeaves verifies that waiting callers get the result after the first caller
// has left.
func TestFirstCallerLeaves(t *testing.T) {
	store := newFaultyStore()
	a, b := newExecutor(t, store, idempotency.Options{}), newExecutor(t, store, idempotency.Options{})
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	ctx, cancel := context.WithCancel(t.Context())
	leaving := begin(ctx, b, key(t), input, c.completing())
	time.Sleep(20 * time.Millisecond)
	waiter := begin(t.Context(), b, key(t), input, c.completing())
	time.Sleep(20 * time.Millisecond)
	cancel()
	if r := receive(t, leaving, "the first caller's answer"); !errors.Is(r.err, context.Canceled) {
		t.Errorf("the first caller got %q, %v", r.result, r.err)
	}
	release()
	for _, w := range []<-chan reply{first, waiter} {
		r := receive(t, w, "an answer")
		wantResult(t, r.result, r.err, truth)
	}
	c.want(t, 1)
}

// TestHangingStore verifies that calls do not wait one after another for a store that hangs, and
// that it is asked again after a pause.
func TestHangingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore()
		k := newExecutor(t, store, idempotency.Options{})
		const hang = time.Second + time.Millisecond // longer than a claim may take
		var claims atomic.Int64
		store.tamper(func(idempotency.Claim, error) (idempotency.Claim, error) {
			claims.Add(1)
			time.Sleep(hang)
			return idempotency.Claim{}, context.DeadlineExceeded
		})
		begun := time.Now()
		call := func(key string) error {
			_, err := k.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: key}, nil, func(context.Context) ([]byte, idempotency.Outcome, error) {
				return nil, idempotency.Completed, nil
			})
			return err
		}
		for i := range 100 {
			err := call(strconv.Itoa(i))
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != fault.UpstreamUnavailable || e.RetryAfter <= 0 || fault.OutcomeOf(err) != fault.NotSent {
				t.Fatalf("call %d fails with %v", i, err)
			}
		}
		if took := time.Since(begun); took != hang || claims.Load() != 1 {
			t.Errorf("%d claims in %v, want one", claims.Load(), took)
		}
		store.tamper(nil)
		time.Sleep(time.Second)
		if err := call("after the pause"); err != nil {
			t.Error(err)
		}
	})
}

// TestLostRecord verifies that a call can start twice only if the store loses its
// record. The operator sees an error, and the two runs stay separate.
func TestLostRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := newFaultyStore()
		a := newExecutor(t, store, idempotency.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		b := newExecutor(t, store, idempotency.Options{})
		var c, d counter
		run, started, release := c.blocking()
		first := begin(t.Context(), a, key(t), input, run)
		<-started
		store.clear()
		result, err := b.Do(t.Context(), key(t), input, d.returning([]byte("b"), idempotency.Completed, nil))
		wantResult(t, result, err, []byte("b"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "is another's now"); n != 1 || !strings.Contains(log.String(), "ERROR") {
			t.Errorf("the loss is logged %d times: %s", n, log.String())
		}
		release()
		r := <-first
		wantResult(t, r.result, r.err, truth)
		if !strings.Contains(log.String(), "an outcome was not recorded") || strings.Contains(log.String(), t.Name()) {
			t.Errorf("the log says %s", log.String())
		}
		result, err = a.Do(t.Context(), key(t), input, c.completing())
		wantResult(t, result, err, []byte("b"))
	})
}

// TestFailedClaimsAreReleased verifies that claims whose answers were lost are released once the store answers again, one
// at a time and in bounded number.
func TestFailedClaimsAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10_000
		var c counter
		store := newFaultyStore()
		k := newExecutor(t, store, idempotency.Options{})
		do := func(n int) ([]byte, error) {
			return k.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: strconv.Itoa(n)}, input, c.completing())
		}
		store.down.Store(true)
		store.tamper(func(idempotency.Claim, error) (idempotency.Claim, error) {
			return idempotency.Claim{}, errors.New("away")
		})
		for n := range limit + 1 {
			result, err := do(n)
			wantFault(t, result, err, fault.UpstreamUnavailable, nil)
		}
		synctest.Wait()
		if n := store.finishes.Load(); n != 1 {
			t.Errorf("%d releases at a time, want one", n)
		}
		time.Sleep(time.Hour)
		if n := store.finishes.Load(); n > 3600/0.5+10 {
			t.Errorf("%d attempts in an hour", n)
		}
		c.want(t, 0)
		store.tamper(nil)
		store.down.Store(false)
		time.Sleep(time.Second)
		for _, n := range []int{0, 1, limit - 1} {
			result, err := do(n)
			wantResult(t, result, err, truth)
		}
		// There was no room for the release of this claim, which may have been made.
		result, err := do(limit)
		wantUnknown(t, result, err)
		c.want(t, 3)
	})
}

// TestLateReleases verifies that a record whose run started nothing becomes free after an outage longer than a lease.
// The same holds if its caller has left.
func TestLateReleases(t *testing.T) {
	for name, leaves := range map[string]bool{"refused": false, "left": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c counter
				store := newFaultyStore()
				k := newExecutor(t, store, idempotency.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				store.tamper(func(c idempotency.Claim, err error) (idempotency.Claim, error) {
					store.down.Store(true)
					if leaves {
						cancel()
					}
					return c, err
				})
				if _, err := k.Do(ctx, key(t), input, c.returning(nil, idempotency.NotStarted, errors.New("refused"))); err == nil {
					t.Error("it did not fail")
				}
				store.tamper(nil)
				time.Sleep(time.Hour)
				store.down.Store(false)
				time.Sleep(time.Second)
				result, err := k.Do(t.Context(), key(t), other, c.completing())
				wantResult(t, result, err, truth)
			})
		})
	}
}

// TestCloseEndsReleases verifies that Close does not wait for a store that does not answer.
func TestCloseEndsReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := newFaultyStore()
		store.down.Store(true)
		store.tamper(func(idempotency.Claim, error) (idempotency.Claim, error) {
			return idempotency.Claim{}, errors.New("away")
		})
		k := idempotency.New(store, idempotency.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		var c counter
		_, _ = k.Do(t.Context(), key(t), input, c.completing())
		begun := time.Now()
		if err := k.Close(t.Context()); err != nil || time.Since(begun) > time.Second {
			t.Errorf("closed after %v with %v", time.Since(begun), err)
		}
		if !strings.Contains(log.String(), "keys=1") || strings.Contains(log.String(), t.Name()) {
			t.Errorf("the log says %s", log.String())
		}
	})
}

// TestInvalidStoreResponses verifies that an invalid answer of the store starts nothing.
func TestInvalidStoreResponses(t *testing.T) {
	for name, status := range map[string]idempotency.ClaimStatus{"none": 0, "released": idempotency.Released, "unheard of": 99} {
		t.Run(name, func(t *testing.T) {
			var c counter
			store := newFaultyStore()
			k := newExecutor(t, store, idempotency.Options{})
			store.tamper(func(idempotency.Claim, error) (idempotency.Claim, error) {
				return idempotency.Claim{Status: status}, nil
			})
			result, err := k.Do(t.Context(), key(t), input, c.completing())
			wantFault(t, result, err, fault.Internal, nil)
			c.want(t, 0)
		})
	}
}
