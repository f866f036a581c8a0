package graphqlhttp

import (
	"fmt"
	"testing"
)

// TestDocumentsAreBoundedByBytes verifies the bound for many documents and for long ones.
func TestDocumentsAreBoundedByBytes(t *testing.T) {
	d := NewDocuments(100_000, func(key, text string) int { return len(key) + len(text) })
	for i := range 1000 {
		d.Add(t.Context(), fmt.Sprint("small ", i), string(make([]byte, 100)))
	}
	if text, ok := d.Get(t.Context(), "small 999"); !ok || len(text) != 100 {
		t.Errorf("the last one is not kept: %d bytes", len(text))
	}
	d.Add(t.Context(), "large", string(make([]byte, 200_000)))
	if _, ok := d.Get(t.Context(), "large"); ok {
		t.Error("one that is larger than all that may be kept is kept")
	}
	cached := 0
	for i := range 1000 {
		if _, ok := d.Get(t.Context(), fmt.Sprint("small ", i)); ok {
			cached++
		}
	}
	if cached == 0 || cached > 100_000/356 {
		t.Errorf("%d of 1000 are kept", cached)
	}
}
