package consoleclient

import (
	"net/url"
	"strconv"
)

// Page is one page of a list.
type Page[T any] struct {
	// Count is the number of entities on all pages of the list; -1 if the console does not report it.
	Count int `json:"count"`
	// Served is the number of positions on this page: the length of List plus the null elements.
	Served int `json:"served"`
	// Positions are the positions of List's entities on the page, from 0. It is nil if the page has no null element.
	Positions []int `json:"places,omitzero"`
	// List holds the entities of this page; none is nil.
	List []*T `json:"list,omitzero"`
	// Date is when the console answered, by its header `Date`; by this computer's clock if it has none.
	Date DateTime `json:"date,omitzero"`
}

// List selects a page of a list. F is one of the filters, which are comparable structs of plain values. Empty values
// are not sent.
type List[F any] struct {
	Filter F
	// Ascending sorts by creation time, oldest first; the console's default is newest first (IsDesc).
	Ascending bool
	// IDs restricts the list to these entities with the console's undocumented parameter Ids. Queues, robots and
	// workflows support it. A console without it ignores it silently.
	IDs []string
	// PageIndex counts from 0.
	PageIndex int
	// PageSize is the requested page size; the console may return less. 0: the console's default (20).
	PageSize int
}

// filter adds its parameters, named as in the document, to a query.
type filter interface{ addTo(q query) }

func (l List[F]) query() url.Values {
	q := query{}
	if f, ok := any(l.Filter).(filter); ok {
		f.addTo(q)
	}
	if l.Ascending {
		q["IsDesc"] = []string{"false"}
	}
	if len(l.IDs) > 0 {
		q["Ids"] = l.IDs
	}
	q.page(l.PageIndex, l.PageSize)
	return url.Values(q)
}

// Encode returns the list's query string. Equal lists have equal query strings.
func (l List[F]) Encode() string { return l.query().Encode() }

const (
	// maxListed bounds the entities of a list without pages.
	maxListed = 50_000
	// maxServed bounds the entities of a page. Some consoles serve more than the page size.
	maxServed = 2_000
)

// maxElements returns how many entities the list may have that the request asks for.
func (r request) maxElements() int {
	size, err := strconv.Atoi(r.query.Get("PageSize"))
	if err != nil {
		return maxListed
	}
	return max(maxServed, 2*size)
}

// before returns how many positions of the list come before the page that the request asks for.
func (r request) before() int {
	index, err := strconv.Atoi(r.query.Get("PageIndex"))
	if err != nil {
		return 0
	}
	size, err := strconv.Atoi(r.query.Get("PageSize"))
	if err != nil {
		size = defaultPageSize
	}
	return index * size
}

// defaultPageSize is the console's default page size.
const defaultPageSize = 20

// query collects the parameters of a query string.
type query url.Values

// add sets a parameter that is not empty.
func (q query) add(name, value string) {
	if value != "" {
		q[name] = []string{value}
	}
}

// page sets the paging parameters, unless both are zero.
func (q query) page(index, size int) {
	if index > 0 || size > 0 {
		q["PageIndex"] = []string{strconv.Itoa(index)}
	}
	if size > 0 {
		q["PageSize"] = []string{strconv.Itoa(size)}
	}
}

// addEntityFilter adds the filter parameters that queues, robots and workflows share.
func (q query) addEntityFilter(name, search string, queue, pkg, version OptionalID) {
	q.add("Name", name)
	q.add("SearchString", search)
	q.add("AssociatedQueueId", string(queue))
	q.add("PackageId", string(pkg))
	q.add("PackageVersionId", string(version))
}
