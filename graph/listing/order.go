package listing

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// SortField is a field that lists can be ordered by. Each kind has some of them.
type SortField string

// The fields.
const (
	Name              SortField = "NAME"
	CreatedAt         SortField = "CREATED_AT"
	ModifiedAt        SortField = "MODIFIED_AT"
	LastTriggeredAt   SortField = "LAST_TRIGGERED_AT"
	LastHeartbeatTime SortField = "LAST_HEARTBEAT_TIME"
	Status            SortField = "STATUS"
)

// MarshalGQL writes the field as a GraphQL enum value.
func (f SortField) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(f))) }

// UnmarshalGQL reads the field. The schema knows which fields a kind has.
func (f *SortField) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return fault.BadInput("", "is not a field")
	}
	*f = SortField(s)
	return nil
}

// Order is the order of a list.
type Order struct {
	Field      SortField
	Descending bool
}

// Entity gives the values of an entity that lists are ordered by. A function may be nil if the kind has no such field.
type Entity[T any] struct {
	ID, Name                                      func(*T) string
	CreatedAt, ModifiedAt, TriggeredAt, Heartbeat func(*T) cc.DateTime
	Status                                        func(*T) cc.RobotStatus
}

// sortKey is the value that an entity is ordered by.
type sortKey[T any] struct {
	entity *T
	null   bool
	text   string
	time   time.Time
	number int
	id     string
}

func (e Entity[T]) key(v *T, field SortField) sortKey[T] {
	k := sortKey[T]{entity: v, id: scope.Lower(e.ID(v))}
	addTime := func(of func(*T) cc.DateTime) {
		if k.null = of == nil || of(v) == ""; !k.null {
			k.time = of(v).Time()
		}
	}
	switch field {
	case CreatedAt:
		addTime(e.CreatedAt)
	case ModifiedAt:
		addTime(e.ModifiedAt)
	case LastTriggeredAt:
		addTime(e.TriggeredAt)
	case LastHeartbeatTime:
		addTime(e.Heartbeat)
	case Status:
		if k.null = e.Status == nil; !k.null {
			k.number = rank(e.Status(v))
		}
	default:
		k.text = e.Name(v)
	}
	return k
}

// rank is the position of a status in the schema, where UNKNOWN is the last one.
func rank(s cc.RobotStatus) int {
	if s == cc.RobotStatusUnknown {
		return len(statuses())
	}
	return int(s)
}

// compare compares two values. Nulls come last in both directions, and ties are ordered by id.
func (k sortKey[T]) compare(b sortKey[T], descending bool) int {
	if k.null != b.null {
		if k.null {
			return 1
		}
		return -1
	}
	c := 0
	if !k.null {
		c = cmp.Or(cmp.Compare(k.text, b.text), k.time.Compare(b.time), cmp.Compare(k.number, b.number)) // all but one are equal
	}
	if descending {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(k.id, b.id))
}

// precedes reports whether a comes before b in a list of the console, which counts null as the least value.
func (k sortKey[T]) precedes(b sortKey[T], descending bool) bool {
	if k.null != b.null {
		return k.null != descending
	}
	return k.compare(b, descending) < 0
}

// Sort orders the entities. It does not change the list.
func (e Entity[T]) Sort(all []*T, o Order) []*T {
	keys := make([]sortKey[T], len(all))
	for i, v := range all {
		keys[i] = e.key(v, o.Field)
	}
	slices.SortFunc(keys, func(a, b sortKey[T]) int { return a.compare(b, o.Descending) })
	sorted := make([]*T, len(keys))
	for i := range keys {
		sorted[i] = keys[i].entity
	}
	return sorted
}

// Merge merges lists, each of which the console has ordered, into one of at most n entities. Nulls count as the oldest
// time. Only the first n entities of each list affect the result. Ties keep the order of their lists, so that all pages
// agree.
func (e Entity[T]) Merge(lists [][]*T, o Order, n int) []*T {
	heads := make([]*sortKey[T], len(lists))
	next := make([]int, len(lists))
	advance := func(i int) {
		heads[i] = nil
		if next[i] < len(lists[i]) {
			heads[i] = new(e.key(lists[i][next[i]], o.Field))
			next[i]++
		}
	}
	total := 0
	for i := range lists {
		total += len(lists[i])
		advance(i)
	}
	merged := make([]*T, 0, min(n, total))
	for len(merged) < n {
		best := -1
		for i, head := range heads {
			if head != nil && (best < 0 || head.precedes(*heads[best], o.Descending)) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		merged = append(merged, heads[best].entity)
		advance(best)
	}
	return merged
}

// statuses are the statuses of robots in the order of the schema.
func statuses() []cc.RobotStatus {
	return []cc.RobotStatus{cc.RobotStatusDisconnected, cc.RobotStatusReady, cc.RobotStatusBusy, cc.RobotStatusUnknown}
}
