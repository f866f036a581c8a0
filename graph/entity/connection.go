package entity

import (
	"encoding/base64"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// maxFirst is the largest `first` of a connection, and defaultFirst the default.
const (
	maxFirst     = 500
	defaultFirst = 20
)

// Connection is a range of a list, as the Relay specification of cursor connections defines it.
type Connection[T any] struct {
	Nodes      []*T
	TotalCount int   // length of the whole list
	positions  []int // positions of the nodes in the whole list
	offset     int   // position of the range in the whole list
	length     int   // of the range, known even if its nodes are not selected; a position may have no node
	// Unavailable are the departments whose part of the list is missing.
	Unavailable []*listing.UnavailableDepartment
}

// NewConnection returns a range of count positions of a list of the given length. nodes are those of the first positions.
func NewConnection[T any](nodes []*T, offset, count, length int) *Connection[T] {
	c := &Connection[T]{Nodes: nodes, TotalCount: length, offset: offset, length: max(0, min(count, length-offset)), positions: make([]int, len(nodes))}
	for i := range nodes {
		c.positions[i] = offset + i
	}
	return c
}

// OrderBy is the order of a list by a field.
type OrderBy struct {
	Field     listing.SortField
	Direction SortOrder
}

// Edge is a node and its cursor.
type Edge[T any] struct {
	Cursor string
	Node   *T
}

// PageInfo tells whether the list continues outside a range. The cursors are those of the first and the last position of
// the range; nil if it is empty. The console may have left these positions empty.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// Edges returns the nodes with their cursors.
func (c *Connection[T]) Edges() []*Edge[T] {
	edges := make([]*Edge[T], len(c.Nodes))
	for i, n := range c.Nodes {
		edges[i] = &Edge[T]{Cursor: cursorAt(c.positions[i]), Node: n}
	}
	return edges
}

// PageInfo returns the page info of the range.
func (c *Connection[T]) PageInfo() *PageInfo {
	end := c.offset + c.length
	info := &PageInfo{HasNextPage: end < c.TotalCount, HasPreviousPage: c.offset > 0 && c.TotalCount > 0}
	if c.length > 0 {
		first, last := cursorAt(c.offset), cursorAt(end-1)
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}

// SortOrder is the direction of a list.
type SortOrder string

// The directions. For the argument `order`, DESC has the newest entities first, and is the console's default.
const (
	SortOrderAsc  SortOrder = "ASC"
	SortOrderDesc SortOrder = "DESC"
)

// MarshalGQL writes the direction as a GraphQL enum value.
func (o SortOrder) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(o))) }

// UnmarshalGQL reads the direction.
func (o *SortOrder) UnmarshalGQL(v any) error {
	switch s, _ := v.(string); SortOrder(s) {
	case SortOrderAsc, SortOrderDesc:
		*o = SortOrder(s)
		return nil
	default:
		return fault.BadInput("order", "%v is neither ASC nor DESC", v)
	}
}

// ListArgs are the arguments of a connection field, nil if not given.
type ListArgs[F comparable] struct {
	Filter *F
	Order  *SortOrder
	First  *int
	After  *string
	Offset *int
	// matchesNothing is set if no entity satisfies both the filter and the list's parent.
	matchesNothing bool
}

// With returns the arguments with what the list's parent implies added to the filter. imply changes the filter. It returns
// false if no entity can satisfy both.
func (a ListArgs[F]) With(imply func(*F) bool) ListArgs[F] {
	var f F
	if a.Filter != nil {
		f = *a.Filter
	}
	a.matchesNothing = !imply(&f)
	a.Filter = &f
	return a
}

// Range is the range of a list that arguments name.
type Range[F comparable] struct {
	Filter        F
	Ascending     bool
	Offset, Count int
	// MatchesNothing says that no entity satisfies both the filter and the list's parent.
	MatchesNothing bool
}

// Range returns the range, or the error of bad arguments.
func (a ListArgs[F]) Range() (Range[F], error) {
	w, err := a.window(scope.Scope{})
	return Range[F]{Filter: w.filter, Ascending: w.ascending, Offset: w.offset, Count: w.count, MatchesNothing: a.matchesNothing}, err
}

// Check returns the error of bad arguments.
func (a ListArgs[F]) Check() error {
	_, err := a.window(scope.Scope{})
	return err
}

// window checks the arguments and returns the range that they name.
func (a ListArgs[F]) window(sc scope.Scope) (window[F], error) {
	w := window[F]{scope: sc, count: defaultFirst}
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
		if *a.First < 0 || *a.First > maxFirst {
			return w, fault.BadInput("first", "%d is not between 0 and %d", *a.First, maxFirst)
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
const maxOffset = 1<<31 - 1 - maxFirst

const (
	cursorPrefix = "position:"
	// maxCursor bounds the length of a cursor, in bytes.
	maxCursor = 64
)

// cursorAt returns the cursor of a position. It is opaque to clients.
func cursorAt(position int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Append(nil, cursorPrefix, position))
}

// positionOf returns the position of a cursor, and whether the cursor is valid.
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

// checkFilter refuses texts of a filter that break the input rules. Its ids are GUIDs by their scalar.
func checkFilter[F any](filter *F) error {
	v := reflect.ValueOf(filter).Elem()
	for i := range v.NumField() {
		if v.Field(i).Type() != reflect.TypeFor[string]() {
			continue
		}
		if err := fault.CheckLine("filter."+schemaName(v.Type().Field(i).Name), v.Field(i).String(), listing.MaxText); err != nil {
			return err
		}
	}
	return nil
}

// schemaName is the name in the schema of a filter's field.
func schemaName(field string) string { return strings.ToLower(field[:1]) + field[1:] }

// CheckName refuses a name that is not sent to search for companies.
func CheckName(name string) error { return fault.CheckLine("name", name, listing.MaxText) }
