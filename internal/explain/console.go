package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/consoleql/consoleql/internal/budget"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// Sizes of lists without pages, and of lists of references.
const (
	likelyCompanies   = 5
	likelyDepartments = 20
	likelyChildren    = 5
	likelyRobots      = 5
	likelyVersions    = 10
	likelyReferences  = 10
)

// maxEntities bounds the generated entities of a dry run, and thereby its memory and CPU time.
const maxEntities = 10_000

// Hints contains known facts about the console, and ids that the operation names.
type Hints struct {
	// ListSize returns the length of the unfiltered list of a type in a scope, if it is known.
	ListSize func(typ string, sc scope.Scope) (int, bool)
	// SendsRobotIDs reports whether workflows contain the ids of their robots.
	SendsRobotIDs bool
	// Companies and Departments are ids that the operation, its request or its API key
	// contains.
	Companies, Departments []string
}

// Call is a number of similar calls.
type Call struct {
	Kind, Operation, How string
	Calls, Entities      int

	pageSize int // the largest page size
}

// Console is a fake console whose lists have likely lengths. It generates its entities without
// I/O, and counts its calls in the operation's budget. Referenced entities are elements of the
// lists of their type. A list of unknown length continues after every page. A Console serves
// one dry run and is safe for concurrent use.
type Console struct {
	hints Hints

	mu        sync.Mutex
	findScope bool
	calls     []Call
	made      int // number of entities
	truncated bool
	lists     map[listKey]int // numbers of lists, which are part of their ids
	refs      map[listKey]int // number of referenced entities per list
	entities  map[entityKey]any
}

// NewConsole returns a Console for the hints.
func NewConsole(hints Hints) *Console {
	return &Console{hints: hints, lists: make(map[listKey]int), refs: make(map[listKey]int), entities: make(map[entityKey]any)}
}

// FindScope tells whether the operation is looking for the request's scope. A caller without a
// company in its request belongs to one company.
func (c *Console) FindScope(finding bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.findScope = finding
}

// Take returns the calls since the last Take, ordered by kind and operation.
func (c *Console) Take() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	for i := range calls {
		if size := calls[i].pageSize; size > 0 {
			calls[i].How = fmt.Sprintf("pages of up to %d", size)
		}
	}
	slices.SortFunc(calls, func(a, b Call) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.How, b.How))
	})
	return calls
}

// Truncated reports whether maxEntities has omitted something.
func (c *Console) Truncated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.truncated
}

// count counts a call that returns so many entities. c.mu is held.
func (c *Console) count(kind, operation, how string, entities, pageSize int) {
	c.made += entities
	for i := range c.calls {
		if call := &c.calls[i]; call.Kind == kind && call.Operation == operation && call.How == how {
			call.Calls++
			call.Entities += entities
			call.pageSize = max(call.pageSize, pageSize)
			return
		}
	}
	c.calls = append(c.calls, Call{kind, operation, how, 1, entities, pageSize})
}

// send counts a call in the operation's budget.
func send(ctx context.Context) error { return budget.Send(ctx, false) }

// remainingEntities returns how many entities follow a page of a list of unknown length: as many as one
// field reads.
const remainingEntities = 500

// errCut refuses a call that would exceed maxEntities.
func errCut() error {
	return fault.New(fault.QueryTooComplex, "a dry run makes up at most %d entities", maxEntities)
}

// listKey identifies a list: the unfiltered list of a type in a scope, or a filtered one.
type listKey struct {
	typeName string
	scope    scope.Scope
	filter   any
}

// id returns the id of the entity at a position of a list. c.mu is held.
func (c *Console) id(list listKey, position int) string {
	n, ok := c.lists[list]
	if !ok {
		n = len(c.lists) + 1
		c.lists[list] = n
	}
	id := []byte("00000000-0000-4000-8000-000000000000")
	putHex(id[:8], n)
	putHex(id[24:], position)
	return string(id)
}

// putHex writes as many of the last digits of n as fit.
func putHex(to []byte, n int) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = "0123456789abcdef"[n&15]
		n >>= 4
	}
}

// ref returns the id of another referenced entity of a type in a scope. References are spread
// over a list of known length. c.mu is held.
func (c *Console) ref(typ string, sc scope.Scope) string {
	list := listKey{typeName: typ, scope: sc}
	position := c.refs[list]
	c.refs[list]++
	if size, known := c.hints.ListSize(typ, sc); known && size > 0 {
		position = spread(position, size)
	}
	return c.id(list, position)
}

// spread returns the position of the n-th reference to a list of the given size. The first
// size positions differ.
func spread(n, size int) int {
	step := max(1, size*618/1000)
	for gcd(step, size) != 1 {
		step++
	}
	return n % size * step % size
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
