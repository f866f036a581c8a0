package responsecache

import (
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/invalidation"
)

func TestEnvelope(t *testing.T) {
	e := envelope{
		owner: owner("d", "p"), id: 7, epoch: "epoch", version: 300, refreshID: 9, begun: 1 << 41, cost: time.Second,
		slots: []invalidation.Slot{1, 500, invalidation.SlotCount - 1},
	}
	sealed := e.seal([]byte("value"))
	got, err := openEnvelope(sealed)
	if err != nil {
		t.Fatal(err)
	}
	value, err := got.value()
	if err != nil || string(value) != "value" || got.owner != e.owner || got.id != e.id || got.epoch != e.epoch ||
		got.version != e.version || got.refreshID != e.refreshID || got.begun != e.begun || got.cost != e.cost || len(got.slots) != 3 || got.slots[2] != invalidation.SlotCount-1 {
		t.Errorf("got %+v, %q, %v", got, value, err)
	}
	for n := range sealed {
		cut, err := openEnvelope(sealed[:n])
		if err == nil {
			_, err = cut.value()
		}
		if err == nil {
			t.Errorf("%d bytes of %d are an answer", n, len(sealed))
		}
	}
	if _, err := openEnvelope(append([]byte{1}, sealed[1:]...)); err == nil {
		t.Error("another form is an answer")
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope{epoch: "e", slots: []invalidation.Slot{1}}.seal([]byte("value")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if e, err := openEnvelope(data); err == nil {
			_, _ = e.value()
		}
	})
}
