package consoleclient

import (
	"net/url"
	"strconv"
)

// Page is one page of a list.
type Page[T any] struct {
	// Count is how many entities the whole list has, on all its pages; -1 where the console does not say.
	Count int `json:"count"`
	// Served is how many places of the list the page takes: as many as List is long, and one for each null.
	Served int `json:"served"`
	// Places are the places of List's entities on the page, from 0; nil where there was no null and each has its own.
	Places []int `json:"places,omitzero"`
	// List holds this page's entities; none of them is nil.
	List []*T `json:"list,omitzero"`
}

// List says which page of which list to get. F is one of the filters; each is a comparable struct of plain values, in
// which an empty value is not sent.
type List[F any] struct {
	Filter F
	// Ascending sorts by creation time, oldest first; the console's default is newest first (IsDesc).
	Ascending bool
	// IDs asks for these entities only, with the console's undocumented parameter Ids. Lists of queues, robots and
	// workflows take it; a console that does not know it ignores it silently.
	IDs []string
	// PageIndex counts from 0.
	PageIndex int
	// PageSize is the wanted page size; the console may give less. 0 leaves it to the console (20).
	PageSize int
}

// filter is what List needs of a filter: its parameters as the document names them.
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

// Encode is the list's query string: lists that ask the same have the same.
func (l List[F]) Encode() string { return l.query().Encode() }

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

// addEntityFilter adds the filter that queues, robots and workflows share.
func (q query) addEntityFilter(name, search string, queue, pkg, version OptionalID) {
	q.add("Name", name)
	q.add("SearchString", search)
	q.add("AssociatedQueueId", string(queue))
	q.add("PackageId", string(pkg))
	q.add("PackageVersionId", string(version))
}
