// Package capabilities remembers properties of the console that its answers show: support for `Ids`, page sizes,
// and lengths of lists.
package capabilities

import (
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/scope"
)

// IDsMode says whether lists are asked with the parameter `Ids`. The console's document does not list it, but many
// deployments take it.
type IDsMode string

// The modes of the setting CONSOLEQL_CONSOLE_IDS.
const (
	IDsAuto IDsMode = "auto" // send it, check the answer, and remember the result
	IDsOn   IDsMode = "on"   // always send it; the answer is checked all the same
	IDsOff  IDsMode = "off"  // never send it
)

// Options bound the requests of lists.
type Options struct {
	// IDs says whether lists take `Ids`.
	IDs IDsMode
	// PageSize is the largest console page to ask for, in entities.
	PageSize int
	// URLBytes bounds the query string of a list with `Ids`.
	URLBytes int
	// Relearn is how long an observation is valid.
	Relearn time.Duration
	// Now is the clock of Relearn.
	Now func() time.Time
}

// Store holds observations of the console's answers. All of them are hints: each answer is checked against its
// request, so a wrong hint costs a call and never changes an answer.
//
// Whether lists take `Ids` is a property of the console and known for all principals. List lengths and page sizes are
// known only for the principal that was answered (docs/identity.md).
//
// A Store is safe for concurrent use.
type Store struct {
	opts         Options
	mu           *sync.Mutex
	ids          map[string]observation[bool]
	pages        map[listKey]observation[int] // sizes of pages that were smaller than requested
	largestPages map[listKey]observation[int] // sizes of the largest pages that had the requested size
	leastPages   map[listKey]observation[int] // sizes of pages that were larger than requested
	sizes        map[listKey]observation[int] // lengths of lists

	readOnly bool
}

// listKey names a kind's list as one principal sees it. A principal without a name has no observations, because they
// would be shared by all such principals.
type listKey struct {
	principal string // the principal's name
	kind      string
	scope     scope.Scope // zero for observations that hold in every scope
}

type observation[T any] struct {
	value T
	until time.Time
}

// maxSizes bounds each map of list lengths and page sizes. A full map is cleared, which costs one page with a guessed
// size for each list.
const maxSizes = 50_000

// New returns a Store without observations.
func New(opts Options) *Store {
	return &Store{
		opts:         opts,
		mu:           &sync.Mutex{},
		ids:          make(map[string]observation[bool]),
		pages:        make(map[listKey]observation[int]),
		largestPages: make(map[listKey]observation[int]),
		leastPages:   make(map[listKey]observation[int]),
		sizes:        make(map[listKey]observation[int]),
	}
}

// ReadOnly returns a view of the store that records nothing.
func (s *Store) ReadOnly() *Store {
	view := *s
	view.readOnly = true
	return &view
}

// MaxPageSize is the largest page to ask for.
func (s *Store) MaxPageSize() int { return s.opts.PageSize }

// IDsPerURL is how many `&Ids=<GUID>` fit into a query string.
func (s *Store) IDsPerURL() int {
	const pageParameters, perID = len("PageIndex=0&PageSize=500"), len("&Ids=") + 36
	return max(1, (s.opts.URLBytes-pageParameters)/perID)
}

// TakesIDs reports whether lists of kind take `Ids`, and whether that is known.
func (s *Store) TakesIDs(kind string) (takes, known bool) {
	switch s.opts.IDs {
	case IDsOff:
		return false, true
	case IDsOn:
		return true, true
	default:
		return get(s, s.ids, kind)
	}
}

// RobotIDs is the key in Store.ids of whether workflows contain the ids of their robots.
const RobotIDs = "Workflow.robots"

// SendsRobotIDs reports whether workflows contain the ids of their robots. It is true until a workflow lacked them.
func (s *Store) SendsRobotIDs() bool {
	sends, known := get(s, s.ids, RobotIDs)
	return sends || !known
}

// ObserveIDs records whether an answer shows that `Ids` is taken. An answer that ignores `Ids` is proof, and outweighs
// answers that merely look as if it were taken.
func (s *Store) ObserveIDs(kind string, taken bool) {
	if takes, known := get(s, s.ids, kind); taken && known && !takes {
		return
	}
	put(s, s.ids, kind, taken)
}

// PageSize is the largest page of kind that the console is expected to serve to a principal.
func (s *Store) PageSize(principal, kind string) int {
	if n, ok := get(s, s.pages, listKey{principal: principal, kind: kind}); ok && n < s.opts.PageSize {
		return n
	}
	return s.opts.PageSize
}

// minClamp is the smallest page that counts as a limit of the console. A smaller page rather belongs to a list of which
// the principal may not see all.
const minClamp = 10

// ObserveClamp records that a page was smaller than requested.
func (s *Store) ObserveClamp(principal, kind string, size int) {
	if size >= minClamp && principal != "" {
		put(s, s.pages, listKey{principal: principal, kind: kind}, size)
		put(s, s.largestPages, listKey{principal: principal, kind: kind}, size)
	}
}

// LargestServed is the size of the largest page of kind that the principal was served as requested; 0 if unknown.
func (s *Store) LargestServed(principal, kind string) int {
	size, _ := get(s, s.largestPages, listKey{principal: principal, kind: kind})
	return size
}

// ObservePage records that a page had the requested size.
func (s *Store) ObservePage(principal, kind string, size int) {
	if principal != "" && size > s.LargestServed(principal, kind) {
		put(s, s.largestPages, listKey{principal: principal, kind: kind}, size)
	}
}

// LeastPage is the size of the smallest page of kind that the principal is served; 0 if unknown.
func (s *Store) LeastPage(principal, kind string) int {
	size, _ := get(s, s.leastPages, listKey{principal: principal, kind: kind})
	return size
}

// ObserveLeastPage records that a page was larger than requested.
func (s *Store) ObserveLeastPage(principal, kind string, size int) {
	if principal != "" {
		put(s, s.leastPages, listKey{principal: principal, kind: kind}, size)
	}
}

// ListSize is the length of the unfiltered list of kind in sc, as the principal last saw it.
func (s *Store) ListSize(principal, kind string, sc scope.Scope) (int, bool) {
	return get(s, s.sizes, listKey{principal, kind, sc})
}

// ObserveListSize records the length of an unfiltered list.
func (s *Store) ObserveListSize(principal, kind string, sc scope.Scope, n int) {
	if principal != "" {
		put(s, s.sizes, listKey{principal, kind, sc}, n)
	}
}

func get[K comparable, V any](s *Store, m map[K]observation[V], key K) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := m[key]
	if !ok || s.opts.Now().After(f.until) {
		var none V
		return none, false
	}
	return f.value, true
}

func put[K comparable, V any](s *Store, m map[K]observation[V], key K, value V) {
	if s.readOnly {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(m) >= maxSizes {
		clear(m)
	}
	m[key] = observation[V]{value, s.opts.Now().Add(s.opts.Relearn)}
}
