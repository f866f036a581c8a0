package quota_test

import (
	"testing"

	"github.com/consoleql/consoleql/internal/quota"
)

// takeAll takes permits for a caller until there are no more.
func takeAll(q *quota.Quota, caller string) (n int) {
	for q.Take(caller, 1) {
		n++
	}
	return n
}

func TestQuota(t *testing.T) {
	q := &quota.Quota{Total: 64}
	for i, want := range []int{33, 16, 8, 4, 2, 1, 0} {
		if n := takeAll(q, string(rune('a'+i))); n != want {
			t.Errorf("caller %d takes %d permits, want %d", i, n, want)
		}
	}
	q.Release("a", 1)
	if !q.Take("late", 1) || q.Take("late", 1) {
		t.Error("a permit that is free again goes to one who has none")
	}
	bounded := &quota.Quota{Total: 100, PerCaller: 10}
	if n := takeAll(bounded, "a"); n != 10 {
		t.Errorf("a caller takes %d permits, want 10", n)
	}
	bounded.Release("a", 1)
	if n := takeAll(bounded, "a"); n != 1 {
		t.Errorf("a caller takes %d permits after it has released one", n)
	}
	pair := &quota.Quota{Total: 2}
	if n := takeAll(pair, "a"); n != 2 || pair.Take("b", 1) {
		t.Error("a share applies before half of the permits are taken")
	}
	one := &quota.Quota{Total: 1}
	if !one.Take("a", 1) || one.Take("b", 1) {
		t.Error("one permit is not taken once")
	}
	memory := &quota.Quota{Total: 100}
	memory.Release("nobody", 0)
	for i, take := range []struct {
		caller string
		n      int
		taken  bool
	}{{"a", 101, false}, {"a", 40, true}, {"a", 30, true}, {"a", 1, false}, {"a", 0, true}, {"b", 31, false}, {"b", 15, true}, {"b", 1, false}} {
		if memory.Take(take.caller, take.n) != take.taken {
			t.Errorf("amount %d: taken is not %t", i, take.taken)
		}
	}
	if memory.Release("a", 70); memory.Held("a") != 0 || !memory.Take("b", 35) {
		t.Error("an amount is not given back")
	}
}
