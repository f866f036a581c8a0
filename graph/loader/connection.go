package loader

import (
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// MaxFirst is the largest `first` of a connection, DefaultFirst the one that
// applies where none is given.
const (
	MaxFirst     = 500
	DefaultFirst = 20
)

// Connection is a stretch of a list after the Relay specification of cursor
// connections.
type Connection[T any] struct {
	Nodes      []*T
	TotalCount int   // length of the whole list
	places     []int // of the nodes in the whole list
	offset     int   // where in the whole list the stretch begins
	length     int   // of the stretch, known even where its nodes were not asked for; a place may have no node
}

// Edge is one node with the cursor to go on after it.
type Edge[T any] struct {
	Cursor string
	Node   *T
}

// PageInfo says what lies beside a stretch. The cursors are those of its first and last
// place, nil where it has none: to go on after EndCursor leads on, even if the console
// left places empty.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// gqlgen looks for the connections and edges of the graph by these names.
type (
	// PackageConnection is a stretch of a list of packages.
	PackageConnection = Connection[cc.Package]
	// PackageEdge is one of its edges.
	PackageEdge = Edge[cc.Package]
	// QueueConnection is a stretch of a list of robot groups.
	QueueConnection = Connection[cc.Queue]
	// QueueEdge is one of its edges.
	QueueEdge = Edge[cc.Queue]
	// RobotConnection is a stretch of a list of robots.
	RobotConnection = Connection[cc.Robot]
	// RobotEdge is one of its edges.
	RobotEdge = Edge[cc.Robot]
	// WorkflowConnection is a stretch of a list of workflows.
	WorkflowConnection = Connection[cc.Workflow]
	// WorkflowEdge is one of its edges.
	WorkflowEdge = Edge[cc.Workflow]
	// WorkflowLayoutConnection is a stretch of a list of workflow layouts.
	WorkflowLayoutConnection = Connection[cc.WorkflowLayout]
	// WorkflowLayoutEdge is one of its edges.
	WorkflowLayoutEdge = Edge[cc.WorkflowLayout]
)

// Edges are the nodes with their cursors.
func (c *Connection[T]) Edges() []*Edge[T] {
	edges := make([]*Edge[T], len(c.Nodes))
	for i, n := range c.Nodes {
		edges[i] = &Edge[T]{Cursor: cursorAt(c.places[i]), Node: n}
	}
	return edges
}

// PageInfo says what lies beside the nodes.
func (c *Connection[T]) PageInfo() *PageInfo {
	end := c.offset + c.length
	info := &PageInfo{HasNextPage: end < c.TotalCount, HasPreviousPage: c.offset > 0 && c.TotalCount > 0}
	if c.length > 0 {
		first, last := cursorAt(c.offset), cursorAt(end-1)
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}

// SortOrder is the direction of a list by creation time.
type SortOrder string

// The directions: DESC has the newest first and is the console's default.
const (
	SortOrderAsc  SortOrder = "ASC"
	SortOrderDesc SortOrder = "DESC"
)

// MarshalGQL writes the direction as a GraphQL enum value.
func (o SortOrder) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(o))) }

// UnmarshalGQL reads the direction; anything but ASC and DESC is bad input.
func (o *SortOrder) UnmarshalGQL(v any) error {
	switch s, _ := v.(string); SortOrder(s) {
	case SortOrderAsc, SortOrderDesc:
		*o = SortOrder(s)
		return nil
	default:
		return fault.BadInput("order", "%v is neither ASC nor DESC", v)
	}
}

// ListArgs are the arguments of a connection field, nil where not given.
type ListArgs[F comparable] struct {
	Filter *F
	Order  *SortOrder
	First  *int
	After  *string
	Offset *int
	// nothing says that no entity satisfies both the filter and the parent of the list.
	nothing bool
}

// With joins, by AND, the filter and what the parent of the list implies. imply changes the
// filter, and says whether an entity can satisfy both.
func (a ListArgs[F]) With(imply func(*F) bool) ListArgs[F] {
	var f F
	if a.Filter != nil {
		f = *a.Filter
	}
	a.nothing = !imply(&f)
	a.Filter = &f
	return a
}

// Check says what is wrong with the arguments.
func (a ListArgs[F]) Check() error {
	_, err := a.window(scope.Scope{})
	return err
}

// window checks the arguments and gives the stretch that they name.
func (a ListArgs[F]) window(sc scope.Scope) (window[F], error) {
	w := window[F]{scope: sc, count: DefaultFirst}
	if a.Filter != nil {
		if err := checkFilter(a.Filter); err != nil {
			return w, err
		}
		w.filter = *a.Filter
	}
	if a.Order != nil {
		w.ascending = *a.Order == SortOrderAsc
	}
	if a.First != nil {
		if *a.First < 0 || *a.First > MaxFirst {
			return w, fault.BadInput("first", "%d is not between 0 and %d", *a.First, MaxFirst)
		}
		w.count = *a.First
	}
	if a.Offset != nil {
		if *a.Offset < 0 {
			return w, fault.BadInput("offset", "%d is negative", *a.Offset)
		}
		if a.After != nil {
			return w, fault.BadInput("offset", "give either after or offset")
		}
		w.offset = *a.Offset
	}
	if a.After != nil {
		position, ok := positionOf(*a.After)
		if !ok {
			return w, fault.BadInput("after", "not a cursor of this list")
		}
		w.offset = position + 1
	}
	if w.offset > maxOffset {
		return w, fault.BadInput("offset", "%d is more than %d", w.offset, maxOffset)
	}
	return w, nil
}

// maxOffset keeps positions within GraphQL's 32-bit Int.
const maxOffset = 1<<31 - 1 - MaxFirst

const (
	cursorPrefix = "position:"
	// maxCursor bounds a cursor that is read, in bytes: no list has a longer one.
	maxCursor = 64
)

// cursorAt is the cursor of the node at a position. Clients must take it as opaque.
func cursorAt(position int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Append(nil, cursorPrefix, position))
}

func positionOf(cursor string) (int, bool) {
	if len(cursor) > maxCursor {
		return 0, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, false
	}
	digits, ok := strings.CutPrefix(string(raw), cursorPrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && n < maxOffset
}

// checkFilter refuses what the input rules say of a filter's texts. Its ids are
// GUIDs by their scalar.
func checkFilter(filter any) error {
	switch f := filter.(type) {
	case *cc.PackageFilter:
		return checkTexts("filter.", f.Name, f.SearchString)
	case *cc.QueueFilter:
		return checkTexts("filter.", f.Name, f.SearchString)
	case *cc.RobotFilter:
		return checkTexts("filter.", f.Name, f.SearchString)
	case *cc.WorkflowFilter:
		return checkTexts("filter.", f.Name, f.SearchString)
	case *cc.WorkflowLayoutFilter:
		return checkTexts("filter.", f.Name, f.SearchString)
	default:
		return fault.New(fault.Internal, "a filter of type %T", filter)
	}
}

// CheckName refuses a text that companies are not searched for.
func CheckName(name string) error { return checkTexts("", name, "") }

// maxText bounds a text that lists are searched for, in bytes: it is sent in a query string.
const maxText = 1000

// checkTexts refuses what is long, and control characters, which no name holds and which have no
// business in a query string.
func checkTexts(place, name, searchString string) error {
	for argument, text := range map[string]string{"name": name, "searchString": searchString} {
		if len(text) > maxText {
			return fault.BadInput(place+argument, "is longer than %d bytes", maxText)
		}
		if strings.ContainsFunc(text, unicode.IsControl) {
			return fault.BadInput(place+argument, "holds a control character")
		}
	}
	return nil
}
