package slowreader_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

func TestSlowestAnswersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowreader.Limiter{Bytes: 100 << 10}
		var cut []string
		begin := func(name string, bytes int) *slowreader.Answer {
			return b.Begin(make([]byte, bytes), &slowreader.Reader{}, func() { cut = append(cut, name) })
		}
		if begin("small", 4<<10) != nil || b.Held() != 0 {
			t.Error("a small answer counts")
		}
		idle := begin("idle", 50<<10)
		steady := begin("steady", 50<<10)
		time.Sleep(2 * time.Second)
		steady.Progress()
		begin("third", 50<<10)
		if !slices.Equal(cut, []string{"idle"}) || b.Held() != 100<<10 {
			t.Fatalf("ended: %v; held: %d", cut, b.Held())
		}
		idle.End() // after it was cut
		if b.Held() != 100<<10 {
			t.Errorf("an answer that was cut counts twice: %d", b.Held())
		}
		time.Sleep(time.Millisecond)
		fourth := begin("fourth", 50<<10)
		if len(cut) != 1 {
			t.Errorf("an answer ends without its minStall: %v", cut)
		}
		begin("fifth", 60<<10)
		if len(cut) != 2 || b.Held() > 200<<10 {
			t.Errorf("ended: %v; held: %d", cut, b.Held())
		}
		fourth.End()
		fourth.End()
		if held := b.Held(); held != 110<<10 {
			t.Errorf("held: %d", held)
		}
	})
}

// TestSharedAnswersCountOnce verifies that answers with the same memory count once, and end together with the slowest.
func TestSharedAnswersCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowreader.Limiter{Bytes: 100 << 10}
		cut := 0
		begin := func(answer []byte, r *slowreader.Reader) *slowreader.Answer {
			return b.Begin(answer, r, func() { cut++ })
		}
		shared := make([]byte, 60<<10)
		fast := &slowreader.Reader{}
		idle, reading := begin(shared, &slowreader.Reader{}), begin(shared[1<<10:], fast)
		if b.Held() != 60<<10 {
			t.Errorf("held: %d", b.Held())
		}
		time.Sleep(2 * time.Second)
		begin(make([]byte, 8<<10), fast).End() // the client reads another answer
		other := begin(make([]byte, 60<<10), &slowreader.Reader{})
		if cut != 0 {
			t.Errorf("an answer ends though a client reads its memory")
		}
		reading.End()
		other.Progress()
		begin(make([]byte, 30<<10), &slowreader.Reader{})
		if cut != 1 || b.Held() != 90<<10 {
			t.Errorf("%d answers end; held: %d", cut, b.Held())
		}
		idle.End()
		if b.Held() != 90<<10 {
			t.Errorf("held after an end that was cut: %d", b.Held())
		}
	})
}
