package entity

import (
	"fmt"
	"math/rand/v2"
	"testing"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// pagesTouched counts, position by position, the pages of a size that a stretch touches.
func pagesTouched(offset, count, size int) int {
	pages := make(map[int]bool)
	for p := offset; p < offset+count; p++ {
		pages[p/size] = true
	}
	return len(pages)
}

func TestPageSizeForMinimizesPages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	check := func(offset, count, limit int) {
		t.Helper()
		size := pageSizeFor(offset, count, 0, limit)
		if size < 1 || size > limit {
			t.Fatalf("offset %d, count %d, limit %d: size %d", offset, count, limit, size)
		}
		fewest := pagesTouched(offset, count, limit)
		for s := 1; s <= limit; s++ {
			n := pagesTouched(offset, count, s)
			if n != pagesFor(offset, count, s) {
				t.Fatalf("offset %d, count %d, size %d: %d pages, not %d", offset, count, s, n, pagesFor(offset, count, s))
			}
			fewest = min(fewest, n)
		}
		if n := pagesTouched(offset, count, size); n != fewest {
			t.Errorf("offset %d, count %d, limit %d: size %d needs %d pages, %d would do", offset, count, limit, size, n, fewest)
		}
		// One page is never larger than it must be.
		for s := 1; fewest == 1 && s < size; s++ {
			if pagesTouched(offset, count, s) == 1 {
				t.Errorf("offset %d, count %d, limit %d: size %d, where %d would do", offset, count, limit, size, s)
				break
			}
		}
	}
	for limit := 1; limit <= 12; limit++ {
		for offset := range 15 {
			for count := 1; count <= 15; count++ {
				check(offset, count, limit)
			}
		}
	}
	for range 300 {
		check(random.IntN(2000), 1+random.IntN(maxFirst), 1+random.IntN(120))
	}
}

func TestPageSizeForKnownRanges(t *testing.T) {
	for _, tt := range []struct{ offset, count, least, limit, want int }{
		{0, 20, 0, 500, 20}, {20, 20, 0, 500, 20}, {0, 500, 0, 500, 500}, {0, 1, 0, 500, 1}, {7, 1, 0, 500, 1}, {1, 2, 0, 500, 3}, {0, 5, 0, 1, 1}, {3, 1, 0, 1, 1},
		{0, 5, 27, 500, 27}, {30, 5, 27, 500, 27}, {20, 20, 27, 27, 27}, {0, 500, 27, 20, 27}, {0, 100, 27, 500, 100},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			if got := pageSizeFor(tt.offset, tt.count, tt.least, tt.limit); got != tt.want {
				t.Errorf("got %d", got)
			}
		})
	}
}

func TestReaderKeepsItsRange(t *testing.T) {
	values := make([]int, 10)
	pointers := make([]*int, 10)
	for i := range values {
		values[i], pointers[i] = i, &values[i]
	}
	r := reader[int]{from: 3, to: 7, total: 10, byPosition: make(map[int]*int)}
	r.put(0, &cc.Page[int]{List: pointers[0:4], Served: 4}) // brings 3
	if r.has(3, 5) || !r.has(3, 4) {
		t.Errorf("holds %v", r.byPosition)
	}
	r.put(5, &cc.Page[int]{List: pointers[5:10], Served: 5}) // brings 5 and 6, not 4
	var got []int
	for _, v := range r.view(func(v *int) string { return fmt.Sprint(*v) }).items {
		got = append(got, *v)
	}
	if fmt.Sprint(got) != "[3 5 6]" {
		t.Errorf("items %v", got)
	}
}
