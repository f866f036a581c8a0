package entity

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// pager is a console with one list of queues, which it serves by pages of its own size.
type pager struct {
	length int
	most   int          // the largest page; 0: as large as is asked for
	least  int          // the smallest page
	hidden map[int]bool // places that the caller may not see: they take room, and do not come
	nulls  map[int]bool // positions that the console answers as null
	said   int          // the count that is stated; 0: the length; -1: none
	repeat bool         // every page is the first one

	mu    sync.Mutex
	calls int
}

func queueAt(i int) string { return fmt.Sprintf("q%d", i) }

func (p *pager) list(_ context.Context, _ scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	size := max(l.PageSize, p.least)
	if p.most > 0 {
		size = min(size, p.most)
	}
	if p.repeat {
		l.PageIndex = 0
	}
	page := &cc.Page[cc.Queue]{Count: p.length}
	for i := l.PageIndex * size; i < min((l.PageIndex+1)*size, p.length); i++ {
		if p.hidden[i] {
			continue
		}
		if !p.nulls[i] {
			page.List = append(page.List, &cc.Queue{ID: queueAt(i)})
			if p.nulls != nil {
				page.Positions = append(page.Positions, page.Served)
			}
		}
		page.Served++
	}
	if p.said != 0 {
		page.Count = p.said
	}
	return page, nil
}

// window reads a range in an operation of its own.
func (p *pager) window(t *testing.T, known *capabilities.Store, offset, first int) []string {
	t.Helper()
	v, err := p.read(t, known, offset, first)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(v.items))
	for i, q := range v.items {
		if ids[i] = q.ID; v.positions[i] < offset || v.positions[i] >= offset+first {
			t.Errorf("a place of %d from %d on: %d", first, offset, v.positions[i])
		}
	}
	return ids
}

// queues returns the loader of an operation.
func (p *pager) queues(x *batch.Execution, known *capabilities.Store) *Loader[cc.Queue, cc.QueueFilter] {
	return New(x, &Kind[cc.Queue, cc.QueueFilter]{Listed: cachedconsole.NewListedKinds().Queues, List: p.list, Scope: (*cc.Queue).Scope}, known)
}

// read reads a range in an operation of its own.
func (p *pager) read(t *testing.T, known *capabilities.Store, offset, first int) (*view[cc.Queue], error) {
	t.Helper()
	sc := scope.Scope{CompanyID: "c", DepartmentID: "d"}
	x := batch.New(principal.NewContext(t.Context(), principal.FromToken("ann")), batch.Options{Concurrency: 64})
	defer x.Close()
	return p.queues(x, known).view(x.Resolver(), window[cc.QueueFilter]{scope: sc, offset: offset, count: first})()
}

// head reads the first part of the list in an operation of its own.
func (p *pager) head(t *testing.T, o HeadOptions[cc.QueueFilter]) *Head[cc.Queue] {
	t.Helper()
	x := batch.New(principal.NewContext(t.Context(), principal.FromToken("ann")), batch.Options{Concurrency: 64})
	defer x.Close()
	head, err := p.queues(x, gateway()).Head(x.Resolver(), scope.Scope{CompanyID: "c", DepartmentID: "d"}, o)()
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// TestPagesThatRepeat: a list whose pages repeat is not read as a shorter one.
func TestPagesThatRepeat(t *testing.T) {
	p := &pager{length: 250, most: 100, repeat: true}
	if v, err := p.read(t, gateway(), 0, 250); fault.CodeOf(err) != fault.UpstreamInvalidResponse {
		t.Errorf("got %v, %v", v, err)
	}
}

// TestHiddenWithoutCount: a page that lacks hidden entities does not end a list without a count.
func TestHiddenWithoutCount(t *testing.T) {
	var most, half []int // of the first 100
	for i := range 50 {
		most, half = append(most, i, i+10), append(half, 2*i)
	}
	for _, hidden := range [][]int{{50, 150}, {150}, {0}, {249}, {10, 20, 110}, most, half, nil} {
		for _, size := range []int{100, 0} {
			p := &pager{length: 250, most: size, said: -1, hidden: make(map[int]bool)}
			for _, i := range hidden {
				p.hidden[i] = true
			}
			want := p.want(0, p.length)
			if diff := cmp.Diff(want, p.window(t, gateway(), 0, p.length)); diff != "" {
				t.Errorf("%v hidden, pages of %d: - want, + got\n%s", hidden, size, diff)
			}
			if head := p.head(t, HeadOptions[cc.QueueFilter]{Whole: true}); head.Total != len(want) {
				t.Errorf("%v hidden, pages of %d: the whole list has %d entities, want %d", hidden, size, head.Total, len(want))
			}
		}
	}
}

// TestRepeatedWithoutCount: a list without a count and pages ends although it lacks hidden entities.
func TestRepeatedWithoutCount(t *testing.T) {
	p := &pager{length: 250, most: 100, said: -1, repeat: true, hidden: map[int]bool{50: true}}
	if got := p.window(t, gateway(), 0, 250); len(got) != 99 || p.calls > 3 {
		t.Errorf("%d entities after %d calls", len(got), p.calls)
	}
}

// TestCountBeyondTheList: the total is that of the entities if an empty page ends the list.
func TestCountBeyondTheList(t *testing.T) {
	for _, first := range []int{300, 400, 500} {
		p := &pager{length: 250, most: 100, said: 1<<31 - 1}
		v, err := p.read(t, gateway(), 0, first)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.items) != 250 || first > 300 && v.total != 250 {
			t.Errorf("first %d: %d entities, total %d", first, len(v.items), v.total)
		}
	}
}

// gateway returns what a new gateway knows of the console.
func gateway() *capabilities.Store {
	return capabilities.New(capabilities.Options{IDs: capabilities.IDsAuto, PageSize: 500, URLBytes: 7500, Relearn: time.Hour, Now: time.Now})
}

// want is what the stretch holds.
func (p *pager) want(offset, first int) []string {
	ids := []string{}
	for i := offset; i < min(offset+first, p.length); i++ {
		if !p.hidden[i] && !p.nulls[i] {
			ids = append(ids, queueAt(i))
		}
	}
	return ids
}

// TestRangesForPageSizes verifies that random ranges of lists are right for all page sizes of the console, also as the
// gateway's first request (docs/joins.md).
func TestRangesForPageSizes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		p := &pager{length: random.IntN(700)}
		switch random.IntN(4) {
		case 0:
			p.most = 1 + random.IntN(120)
		case 1:
			p.least = 1 + random.IntN(120)
		case 2:
			p.least = 1 + random.IntN(60)
			p.most = p.least // of one size only
		}
		e := gateway()
		for range 4 {
			offset, first := random.IntN(p.length+50), 1+random.IntN(maxFirst)
			if random.IntN(2) == 0 {
				first = 1 + random.IntN(60)
				offset = first * random.IntN(12) // as tables and cursors go on
			}
			if diff := cmp.Diff(p.want(offset, first), p.window(t, e, offset, first)); diff != "" {
				t.Fatalf("%d of %d from %d on, pages of %d to %d: - want, + got\n%s", first, p.length, offset, p.least, p.most, diff)
			}
		}
	}
}

// TestRangesOfKnownConsoles, each the first thing that is asked.
func TestRangesOfKnownConsoles(t *testing.T) {
	for _, tt := range []struct{ length, most, least, offset, first, calls int }{
		{66, 20, 0, 50, 50, 4}, // looks like the end of a list of pages of 50
		{115, 20, 0, 100, 100, 3},
		{120, 20, 0, 100, 100, 3},
		{45, 20, 0, 30, 30, 4},
		{103, 5, 0, 100, 50, 3},
		{70, 20, 0, 50, 50, 4}, // what is left is as much as the limit
		{550, 100, 0, 500, 500, 3},
		{100, 0, 20, 5, 5, 2},
		{66, 0, 0, 50, 50, 2}, // the end, which a limit of 16 would look like
		{66, 0, 0, 20, 20, 1},
		{66, 0, 0, 0, 50, 1},
		{66, 0, 0, 100, 50, 1},
		{200, 0, 0, 100, 100, 1},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			p := &pager{length: tt.length, most: tt.most, least: tt.least}
			e := gateway()
			for round := range 2 {
				if diff := cmp.Diff(p.want(tt.offset, tt.first), p.window(t, e, tt.offset, tt.first)); diff != "" {
					t.Errorf("round %d: - want, + got\n%s", round, diff)
				}
			}
			p.calls = 0
			p.window(t, gateway(), tt.offset, tt.first)
			if p.calls > tt.calls {
				t.Errorf("%d calls, want at most %d", p.calls, tt.calls)
			}
		})
	}
}

// TestHiddenPositions verifies that hidden positions shift no other entity: paging over the list returns each of the others once.
func TestHiddenPositions(t *testing.T) {
	for _, hidden := range [][]int{{150}, {50}, {0}, {99}, {100}, {249}, {50, 150}, {10, 20, 110}} {
		for _, first := range []int{100, 50, 20} {
			p := &pager{length: 250, hidden: make(map[int]bool)}
			for _, i := range hidden {
				p.hidden[i] = true
			}
			for name, e := range map[string]*capabilities.Store{"one gateway": gateway(), "another each time": nil} {
				var got []string
				for offset := 0; offset < p.length; offset += first {
					if name != "one gateway" {
						e = gateway()
					}
					got = append(got, p.window(t, e, offset, first)...)
				}
				slices.Sort(got)
				want := slices.Sorted(slices.Values(p.want(0, p.length)))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%v hidden, %d at once, %s: - want, + got\n%s", hidden, first, name, diff)
				}
			}
		}
	}
}

// TestFirstEntities verifies that the first entities of a list depend neither on empty positions nor on the size of the
// pages. The lists of a company are merged from them.
func TestFirstEntities(t *testing.T) {
	for _, tt := range []struct{ hidden, nulls []int }{
		{nil, []int{1}}, {nil, []int{0}}, {nil, []int{19, 20, 21, 63}}, {[]int{1}, nil}, {[]int{0, 19, 45}, nil}, {[]int{20, 21, 22, 23, 24, 25}, nil},
	} {
		p := &pager{length: 64, hidden: make(map[int]bool)}
		for _, i := range tt.hidden {
			p.hidden[i] = true
		}
		if tt.nulls != nil {
			p.nulls = make(map[int]bool)
		}
		for _, i := range tt.nulls {
			p.nulls[i] = true
		}
		all := p.want(0, p.length)
		if head := p.head(t, HeadOptions[cc.QueueFilter]{Whole: true}); head.Total != len(all) || len(head.Items) != len(all) {
			t.Errorf("hidden %v, nulls %v: the whole list has %d entities, total %d, want %d", tt.hidden, tt.nulls, len(head.Items), head.Total, len(all))
		}
		for _, first := range []int{3, 20, 50} {
			for n := first; n < p.length+first; n += first {
				head := p.head(t, HeadOptions[cc.QueueFilter]{Count: n})
				got := []string{}
				for _, q := range head.Items {
					got = append(got, q.ID)
				}
				if diff := cmp.Diff(all[:min(n, len(all))], got); diff != "" {
					t.Errorf("hidden %v, nulls %v, the first %d: - want, + got\n%s", tt.hidden, tt.nulls, n, diff)
				}
			}
		}
	}
}

// TestWrongCounts lose nothing that a stretch from the beginning of the list holds, and
// put nothing in places behind its end.
func TestWrongCounts(t *testing.T) {
	for _, tt := range []struct{ length, said, most, offset, first, calls int }{
		// The count is a multiple of the limit, and the last page is full.
		{66, 40, 20, 0, 500, 6},
		{66, 40, 20, 0, 41, 6},
		{66, 60, 20, 0, 100, 5},
		{66, 14, 7, 0, 50, 12},
		{350, 200, 100, 0, 500, 5},
		{60, 40, 20, 0, 100, 5},
		{66, 40, 20, 50, 50, 7}, // behind the count
		{66, 40, 20, 0, 40, 2},  // within the count: nothing more is asked
		// The count is right: one call more where the last page is full, and the stretch goes on.
		{40, 40, 20, 0, 40, 2},
		{40, 40, 20, 0, 100, 3},
		{41, 41, 20, 0, 100, 3},
		{40, 40, 0, 0, 100, 1},
		{40, 40, 0, 0, 40, 1},
		{120, 120, 20, 100, 100, 3},
		// The count is that of a page whose size is a usual limit.
		{130, 100, 100, 0, 200, 3},
		{130, 100, 100, 0, 101, 3},
		{130, 100, 100, 0, 100, 1},
		{66, 20, 20, 0, 500, 5},
		{550, 500, 500, 0, 500, 1},
		{100, 100, 100, 0, 200, 2},
		{100, 100, 0, 0, 200, 2},
		{66, 66, 0, 0, 200, 1},
		// The count is too large.
		{66, 86, 20, 66, 20, 4},
		{66, 67, 20, 66, 20, 4},
		{66, 500, 20, 66, 20, 4},
		{66, 86, 20, 67, 20, 4},
		{45, 70, 20, 45, 20, 4},
		{66, 86, 0, 66, 20, 2},
		{183, 301, 15, 226, 316, 7},
		{47, 105, 35, 9, 48, 3}, // the last page is short, and no other tells why
		{66, 500, 7, 69, 20, 6}, // p reaches beyond the pages that the stretch needs
		{66, 86, 7, 66, 20, 6},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			p := &pager{length: tt.length, said: tt.said, most: tt.most}
			e := gateway()
			for round := range 2 {
				if diff := cmp.Diff(p.want(tt.offset, tt.first), p.window(t, e, tt.offset, tt.first)); diff != "" {
					t.Errorf("round %d: - want, + got\n%s", round, diff)
				}
				if round == 0 && p.calls > tt.calls {
					t.Errorf("%d calls, want at most %d", p.calls, tt.calls)
				}
			}
		})
	}
}

// TestRangesForCounts verifies that entities have their positions. A range from the
// beginning of the list is complete. Every range is complete where the count is too large.
func TestRangesForCounts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		p := &pager{length: 1 + random.IntN(300), most: 2 + random.IntN(40)}
		p.said = p.most + 1 + random.IntN(2*p.length)
		if random.IntN(2) == 0 {
			p.said = p.most * (2 + random.IntN(5))
		}
		e := gateway()
		for i := range 4 {
			offset, first := random.IntN(p.length+50), 1+random.IntN(maxFirst)
			if i%2 == 0 && p.said < p.length {
				offset, first = 0, max(first, p.said+1)
			}
			got, want := p.window(t, e, offset, first), p.want(offset, first)
			if p.said < p.length && offset > 0 { // it may end with the count
				want = want[:min(len(got), len(want))]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d of %d from %d on, count %d, pages of %d: - want, + got\n%s", first, p.length, offset, p.said, p.most, diff)
			}
		}
	}
}
