package quota_test

import (
	"testing"

	"github.com/consoleql/consoleql/internal/quota"
)

// takeAll takes places for a caller until there are no more.
func takeAll(q *quota.Quota, caller string) (n int) {
	for q.Take(caller) {
		n++
	}
	return n
}

func TestQuota(t *testing.T) {
	q := &quota.Quota{Total: 64}
	for i, want := range []int{33, 16, 8, 4, 2, 1, 0} {
		if n := takeAll(q, string(rune('a'+i))); n != want {
			t.Errorf("caller %d takes %d places, want %d", i, n, want)
		}
	}
	q.Release("a")
	if !q.Take("late") || q.Take("late") {
		t.Error("a place that is free again goes to one who has none")
	}
	bounded := &quota.Quota{Total: 100, PerCaller: 10}
	if n := takeAll(bounded, "a"); n != 10 {
		t.Errorf("a caller takes %d places, want 10", n)
	}
	bounded.Release("a")
	if n := takeAll(bounded, "a"); n != 1 {
		t.Errorf("a caller takes %d places after it has released one", n)
	}
	pair := &quota.Quota{Total: 2}
	if n := takeAll(pair, "a"); n != 2 || pair.Take("b") {
		t.Error("a share applies before half of the places are taken")
	}
	one := &quota.Quota{Total: 1}
	if !one.Take("a") || one.Take("b") {
		t.Error("one place is not taken once")
	}
}
