package loader

import (
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/scope"
)

// capabilities is what the answers of this deployment's console told about it. All
// of it is a hint: every answer is checked against what was asked, and a wrong
// hint costs a call, never a wrong answer.
//
// Whether lists take `Ids` is the console's matter, and known for everybody. How
// long a list is, and how much of it comes at once, is what a principal was answered:
// it is known for that one only (GraphQL contract, section Scope and principal).
type capabilities struct {
	opts  Options
	mu    *sync.Mutex
	ids   map[string]fact[bool]
	pages map[listOf]fact[int] // the size of the console's pages where it is less than was asked for
	whole map[listOf]fact[int] // the largest pages that came as large as they were asked for
	least map[listOf]fact[int] // the size of pages that came larger than they were asked for
	sizes map[listOf]fact[int]

	frozen bool // nothing is learned
}

// listOf is a kind's list as one principal sees it. Nothing is known of who has no name:
// that would be known to everybody.
type listOf struct {
	who   string // the principal's name
	kind  string
	scope scope.Scope // zero for what holds in every scope
}

type fact[T any] struct {
	value T
	until time.Time
}

// maxSizes bounds the remembered list lengths, and the remembered page sizes; past it
// they are all forgotten, which costs one page of guessing per list.
const maxSizes = 50_000

func newCapabilities(opts Options) *capabilities {
	return &capabilities{
		opts:  opts,
		mu:    &sync.Mutex{},
		ids:   make(map[string]fact[bool]),
		pages: make(map[listOf]fact[int]),
		whole: make(map[listOf]fact[int]),
		least: make(map[listOf]fact[int]),
		sizes: make(map[listOf]fact[int]),
	}
}

// readOnly returns a copy that reads the same capabilities and records nothing.
func (k *capabilities) readOnly() *capabilities {
	view := *k
	view.frozen = true
	return &view
}

// takesIDs says whether lists of kind take `Ids`, as far as is known.
func (k *capabilities) takesIDs(kind string) (takes, known bool) {
	switch k.opts.IDs {
	case IDsOff:
		return false, true
	case IDsOn:
		return true, true
	default:
		return get(k, k.ids, kind)
	}
}

// robotIDs stands among the kinds for whether workflows come with the ids of their robots.
const robotIDs = "Workflow.robots"

// sendsRobotIDs says whether workflows come with the ids of their robots; they do
// unless one was seen without.
func (k *capabilities) sendsRobotIDs() bool {
	sends, known := get(k, k.ids, robotIDs)
	return sends || !known
}

// observeIDs notes what an answer showed. That `Ids` is ignored is a proof, and
// stands against whatever else looks as if it were taken.
func (k *capabilities) observeIDs(kind string, taken bool) {
	if takes, known := get(k, k.ids, kind); taken && known && !takes {
		return
	}
	put(k, k.ids, kind, taken)
}

// pageSize is the largest page of kind that the console is known, or hoped, to serve to who.
func (k *capabilities) pageSize(who, kind string) int {
	if n, ok := get(k, k.pages, listOf{who: who, kind: kind}); ok && n < k.opts.PageSize {
		return n
	}
	return k.opts.PageSize
}

// leastClamp is the smallest page that passes for a console's limit. A shorter
// one rather shows a list of which the principal may not see all.
const leastClamp = 10

// observeClamp notes that the console served who a page of size where it was asked for a larger one.
func (k *capabilities) observeClamp(who, kind string, size int) {
	if size >= leastClamp && who != "" {
		put(k, k.pages, listOf{who: who, kind: kind}, size)
		put(k, k.whole, listOf{who: who, kind: kind}, size)
	}
}

// pageServed is the size of the largest page of kind that who is known to be served; 0
// where none is.
func (k *capabilities) pageServed(who, kind string) int {
	size, _ := get(k, k.whole, listOf{who: who, kind: kind})
	return size
}

// observePage notes that the console served who a page as large as it was asked for.
func (k *capabilities) observePage(who, kind string, size int) {
	if who != "" && size > k.pageServed(who, kind) {
		put(k, k.whole, listOf{who: who, kind: kind}, size)
	}
}

// leastPage is the size of the smallest page of kind that who is known to be served; 0 where none is.
func (k *capabilities) leastPage(who, kind string) int {
	size, _ := get(k, k.least, listOf{who: who, kind: kind})
	return size
}

// observeLeastPage notes that the console served who a page of size where it was asked for a smaller one.
func (k *capabilities) observeLeastPage(who, kind string, size int) {
	if who != "" {
		put(k, k.least, listOf{who: who, kind: kind}, size)
	}
}

// listSize is the length of the unfiltered list of kind in sc when who last saw it.
func (k *capabilities) listSize(who, kind string, sc scope.Scope) (int, bool) {
	return get(k, k.sizes, listOf{who, kind, sc})
}

func (k *capabilities) observeListSize(who, kind string, sc scope.Scope, n int) {
	if who != "" {
		put(k, k.sizes, listOf{who, kind, sc}, n)
	}
}

func get[K comparable, V any](k *capabilities, m map[K]fact[V], key K) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := m[key]
	if !ok || k.opts.Now().After(f.until) {
		var none V
		return none, false
	}
	return f.value, true
}

func put[K comparable, V any](k *capabilities, m map[K]fact[V], key K, value V) {
	if k.frozen {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(m) >= maxSizes {
		clear(m)
	}
	m[key] = fact[V]{value, k.opts.Now().Add(k.opts.Relearn)}
}
