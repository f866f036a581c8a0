package fanout

import (
	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/fault"
)

// ListQuery is a list that the gateway filters, orders, or gathers from several departments.
type ListQuery[T any, F comparable] struct {
	Args       entity.ListArgs[F]
	Conditions listing.Conditions[T]
	// OrderBy is the order; nil: that of the console.
	OrderBy *entity.OrderBy
}

// Plain reports whether the console itself answers the list of one department.
func (q ListQuery[T, F]) Plain() bool { return q.OrderBy == nil && q.Conditions.IsEmpty() }

// Check returns the error of bad arguments.
func (q ListQuery[T, F]) Check() error {
	if err := q.Args.Check(); err != nil {
		return err
	}
	return q.Conditions.Check()
}

// List loads a range of a list over an area.
func List[T any, F comparable](l *loader.Loaders, of func(*loader.Loaders) *entity.Loader[T, F], area Area, q ListQuery[T, F], s selection.Set) loader.Loaded {
	r, err := q.Args.Range()
	if err != nil {
		return loader.FailedOne[entity.Connection[T]](err)
	}
	if r.MatchesNothing || q.Conditions.MatchNothing() || area.isEmpty() {
		return loader.One[entity.Connection[T]](batch.Ready(entity.NewConnection[T](nil, r.Offset, 0, 0)))
	}
	needs, keys := of(l).Needs(s), of(l).Keys()
	if !needs.Nodes && !needs.Length {
		return loader.One[entity.Connection[T]](batch.Ready(entity.NewConnection[T](nil, 0, 0, 0)))
	}
	walks := !q.Plain()
	if q.OrderBy == nil && keys.CreatedAt == nil && !area.isOne() {
		q.OrderBy, walks = &entity.OrderBy{Field: listing.Name, Direction: entity.SortOrderAsc}, walks || needs.Nodes
	}
	f := &fanOut[T, F]{area: area, loaderOf: of, withPredicate: q.Conditions.Predicate != nil, options: entity.HeadOptions[F]{
		Filter: r.Filter, Ascending: r.Ascending, Whole: walks, Strict: walks, IDs: q.Conditions.IDs, Complete: needs.Complete,
	}}
	if others := q.Conditions.WithoutPredicate(); f.withPredicate && !others.IsEmpty() {
		f.candidates = func(head *entity.Head[T]) []*T {
			items, _ := others.Select(head.Items, head.AsOf, keys.ID, nil) // only a predicate fails
			return items
		}
	}
	switch {
	case walks && q.OrderBy != nil:
		f.options.Ascending = false // walks in other orders share the pages
	case !walks && needs.Nodes:
		// Connections count entities here, not positions of the console's pages.
		if f.options.Count = r.Offset + r.Count; f.options.Count > listing.MaxEntities {
			return loader.FailedOne[entity.Connection[T]](fault.New(fault.QueryTooComplex, "a list of several departments is read up to %d entities", listing.MaxEntities))
		}
	}
	d := departmentLists[T, F]{fanOut: f, query: q, keys: keys, from: r.Offset, count: r.Count, ascending: r.Ascending}
	return loader.NewStaged(l, f.stages(), d.connection, loader.VisitOne[entity.Connection[T]])
}

// departmentLists is a list over the departments of a fanOut.
type departmentLists[T any, F comparable] struct {
	fanOut      *fanOut[T, F]
	query       ListQuery[T, F]
	keys        listing.Entity[T]
	from, count int
	ascending   bool
}

// connection returns the range.
func (d *departmentLists[T, F]) connection() (*entity.Connection[T], error) {
	answered, missing, err := d.fanOut.collect(d.applyConditions)
	if err != nil {
		return nil, err
	}
	lists := make([][]*T, len(answered))
	total := 0
	for i, r := range answered {
		lists[i] = r.head.Items
		total += r.head.Total
	}
	var list []*T
	if by := d.query.OrderBy; by != nil {
		for _, items := range lists {
			list = append(list, items...)
		}
		list = d.keys.Sort(list, listing.Order{Field: by.Field, Descending: by.Direction == entity.SortOrderDesc})
	} else if len(lists) == 1 {
		list = lists[0]
	} else {
		list = d.keys.Merge(lists, listing.Order{Field: listing.CreatedAt, Descending: !d.ascending}, d.from+d.count)
	}
	from := min(d.from, len(list))
	c := entity.NewConnection(list[from:min(from+d.count, len(list))], d.from, d.count, total)
	c.Unavailable = missing
	return c, nil
}

// applyConditions applies the conditions to a department's list.
func (d *departmentLists[T, F]) applyConditions(r *departmentResult[T]) error {
	if !d.fanOut.options.Whole {
		return nil
	}
	items, err := r.head.Whole()
	if err != nil {
		return err
	}
	value := func(*T) (*bool, error) { return nil, nil }
	if r.predicate != nil {
		value = r.predicate.value
		if r.predicate.isPartial != nil && r.predicate.isPartial() {
			return fault.New(fault.QueryTooComplex, "another list, which the filter depends on, could not be read whole")
		}
	}
	items, err = d.query.Conditions.Select(items, r.head.AsOf, d.keys.ID, value)
	if err != nil {
		return err
	}
	r.head = &entity.Head[T]{Items: items, Total: len(items), AsOf: r.head.AsOf}
	return nil
}
