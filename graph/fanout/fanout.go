// Package fanout reads whole lists of one or more departments, to filter, order and count what the console cannot.
package fanout

import (
	"slices"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// Area is one department, or several of a company.
type Area struct {
	scope   scope.Scope
	subtree *cc.Department
	company *cc.Company
	only    []string // departments of the company, in lower case; nil: all
	err     error
}

// OneDepartment returns the area of one department.
func OneDepartment(sc scope.Scope) Area { return Area{scope: sc} }

// Subtree is a department with those below it.
func Subtree(d *cc.Department) Area { return Area{subtree: d} }

// WholeCompany is a company, or those of its departments that only names; nil: all.
func WholeCompany(c *cc.Company, only []string) Area {
	return Area{company: c, only: only}
}

// Unknown is an area that cannot be determined, for example because the request has no scope.
func Unknown(err error) Area { return Area{err: err} }

// isOne reports whether the area is one department, whose error is that of the field.
func (a Area) isOne() bool { return a.subtree == nil && a.company == nil }

// Department is a department of an area.
type Department struct {
	Scope  scope.Scope
	Entity *cc.Department // nil for the department of a scope
	// Err is why the department is not asked; nil: it is asked.
	Err error
}

// isEmpty reports whether the area names no department.
func (a Area) isEmpty() bool { return a.only != nil && len(a.only) == 0 }

// Departments returns the departments of the area that the caller may ask, and those that it names. It waits for the
// tree of a company.
func (a Area) Departments(l *loader.Loaders) ([]Department, error) {
	switch {
	case a.err != nil:
		return nil, a.err
	case a.subtree != nil:
		return permitted(l, subtreeOf(a.subtree)), nil
	case a.company == nil:
		return []Department{{Scope: a.scope}}, nil
	}
	tree, err := l.CompanyDepartments(a.company)()
	if err != nil {
		return nil, err
	}
	if a.only == nil {
		return permitted(l, tree), nil
	}
	departments := make([]Department, 0, len(a.only))
	for i, id := range a.only {
		if slices.Contains(a.only[:i], id) {
			continue
		}
		at := slices.IndexFunc(tree, func(d *cc.Department) bool { return scope.Lower(d.ID) == id })
		if at < 0 {
			d := &cc.Department{ID: id, CompanyID: new(a.company.Scope().CompanyID)}
			departments = append(departments, Department{Scope: d.Scope(), Entity: d, Err: fault.New(fault.NotFound, "the company has no department %s", id)})
			continue
		}
		d := tree[at]
		p := Department{Scope: d.Scope(), Entity: d}
		if !isPermitted(l, d) {
			p.Err = fault.New(fault.Forbidden, "the caller has neither role nor permission in the department")
		}
		departments = append(departments, p)
	}
	return departments, nil
}

// subtreeOf returns a department and those below it, each once.
func subtreeOf(d *cc.Department) []*cc.Department {
	var all []*cc.Department
	seen := make(map[string]struct{})
	var add func(*cc.Department)
	add = func(d *cc.Department) {
		id := scope.Lower(d.ID)
		if _, ok := seen[id]; ok {
			return
		}
		seen[id] = struct{}{}
		all = append(all, d)
		for _, child := range d.Children {
			add(child)
		}
	}
	add(d)
	return all
}

// permitted returns those of the departments that the caller may ask.
func permitted(l *loader.Loaders, all []*cc.Department) []Department {
	departments := make([]Department, 0, len(all))
	for _, d := range all {
		if isPermitted(l, d) {
			departments = append(departments, Department{Scope: d.Scope(), Entity: d})
		}
	}
	return departments
}

// isPermitted reports whether the caller has a role or permission in a department, and its API key allows the department.
func isPermitted(l *loader.Loaders, d *cc.Department) bool {
	return (d.VisitorHasAnyRole || d.VisitorHasPermission) && principal.FromContext(l.Context()).Limits().CheckScope(d.Scope()) == nil
}

// fanOut reads one kind in the departments of an area.
type fanOut[T any, F comparable] struct {
	area          Area
	loaderOf      func(*loader.Loaders) *entity.Loader[T, F]
	options       entity.HeadOptions[F]
	withPredicate bool
	candidates    func(*entity.Head[T]) []*T // selects the entities whose predicate matters; nil: all
	results       []*departmentResult[T]
	err           error
}

// departmentResult is the answer of one department.
type departmentResult[T any] struct {
	Department

	read      batch.Thunk[*entity.Head[T]]
	head      *entity.Head[T]
	predicate *predicate[T]
}

// stages returns the reads.
func (f *fanOut[T, F]) stages() []loader.Stage {
	var stages []loader.Stage
	if f.area.company != nil {
		stages = append(stages, func(l *loader.Loaders) func() { return waitFor(l.CompanyDepartments(f.area.company)) })
	}
	stages = append(stages, f.begin)
	if f.withPredicate {
		stages = append(stages, f.beginPredicates)
	}
	return stages
}

// begin starts the list of each department.
func (f *fanOut[T, F]) begin(l *loader.Loaders) func() {
	departments, err := f.area.Departments(l)
	if err != nil {
		f.err = err
		return nil
	}
	waits := make([]func(), 0, 2*len(departments))
	for _, at := range departments {
		r := &departmentResult[T]{Department: at}
		f.results = append(f.results, r)
		if r.Err != nil {
			continue
		}
		r.read = f.loaderOf(l).Head(l.Access, r.Scope, f.options)
		waits = append(waits, waitFor(r.read))
		if !f.withPredicate {
			continue
		}
		if r.predicate = predicateOf[T](l, r.Scope); r.predicate != nil && r.predicate.begin != nil {
			waits = append(waits, r.predicate.begin(l))
		}
	}
	return waitAll(waits...)
}

// beginPredicates starts what the predicates of the entities need.
func (f *fanOut[T, F]) beginPredicates(l *loader.Loaders) func() {
	var waits []func()
	for _, r := range f.results {
		if r.Err != nil || r.predicate == nil || r.predicate.beginFor == nil {
			continue
		}
		head, err := r.read()
		if err != nil {
			continue
		}
		items := head.Items
		if f.candidates != nil {
			items = f.candidates(head)
		}
		waits = append(waits, r.predicate.beginFor(l, items))
	}
	return waitAll(waits...)
}

// collect returns the results of the departments that answered, and the departments that are missing. each, if not nil,
// checks a result.
func (f *fanOut[T, F]) collect(each func(*departmentResult[T]) error) (answered []*departmentResult[T], missing []*listing.UnavailableDepartment, err error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	missing = []*listing.UnavailableDepartment{}
	for _, r := range f.results {
		err := r.Err
		if err == nil {
			r.head, err = r.read()
		}
		if err == nil && each != nil {
			err = each(r)
		}
		switch {
		case err == nil:
			answered = append(answered, r)
		case f.area.isOne() || !listing.IsUnavailable(err):
			return nil, nil, err
		default:
			missing = append(missing, listing.Unavailable(r.Entity, err))
		}
	}
	return answered, missing, nil
}

// waitAll waits for several functions, some of which may be nil.
func waitAll(waits ...func()) func() {
	return func() {
		for _, wait := range waits {
			if wait != nil {
				wait()
			}
		}
	}
}
