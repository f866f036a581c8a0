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
			return b.Begin(bytes, func() { cut = append(cut, name) })
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
			t.Errorf("an answer ends without its grace: %v", cut)
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
