package staticfiles

import "testing"

// TestAssetsAreDecompressedOnce: clients that refuse gzip share the content, so that slow ones hold no copies.
func TestAssetsAreDecompressedOnce(t *testing.T) {
	name, f := newAsset("a.js.gz", compress([]byte("content")))
	first, err := f.identity()
	if err != nil || name != "a.js" || string(first) != "content" {
		t.Fatalf("%s: %q, %v", name, first, err)
	}
	if again, err := f.identity(); err != nil || &again[0] != &first[0] {
		t.Errorf("another copy, %v", err)
	}
}
