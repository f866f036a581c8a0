package subscription

import (
	"context"
	"crypto/sha256"
	"io"

	"github.com/consoleql/consoleql/graph/fanout"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// maxDepartments bounds the argument `departmentIds`.
const maxDepartments = 500

// Area names the departments of a subscription. The zero value is the department in the request's scope.
type Area struct {
	// CompanyID is the GUID of a company; nil: that of the request's scope.
	CompanyID *string
	// DepartmentIDs are the GUIDs of 1 to 500 departments of the company; nil: all in which the caller has a role or
	// permission.
	DepartmentIDs []string
}

// isOne reports whether the area is the department in the request's scope.
func (a Area) isOne() bool { return a.CompanyID == nil && a.DepartmentIDs == nil }

// check returns the error of bad arguments. queueID goes with one department only.
func (a Area) check(queueID *string) error {
	switch n := len(a.DepartmentIDs); {
	case a.isOne():
		return nil
	case queueID != nil:
		return fault.BadInput("queueId", "goes neither with companyId nor with departmentIds")
	case a.DepartmentIDs != nil && (n == 0 || n > maxDepartments):
		return fault.BadInput("departmentIds", "%d ids are not between 1 and %d", n, maxDepartments)
	}
	return nil
}

// departments returns the departments of the area, which depend on the request in ctx.
func (a Area) departments(ctx context.Context) ([]fanout.Department, error) {
	l := loader.FromContext(ctx)
	if a.isOne() {
		sc, err := l.RequestScope()()
		return []fanout.Department{{Scope: sc}}, err
	}
	company, err := a.company(l) //nolint:contextcheck // it reads in the context of the operation
	if err != nil {
		return nil, err
	}
	var only []string // nil: all
	for _, id := range a.DepartmentIDs {
		only = append(only, scope.Lower(id))
	}
	return fanout.WholeCompany(company, only).Departments(l)
}

func (a Area) company(l *loader.Loaders) (*cc.Company, error) {
	if a.CompanyID == nil {
		sc, err := l.RequestScope()()
		if err != nil {
			return nil, err
		}
		company, err := l.CompanyOf(sc)()
		if err == nil && company == nil {
			err = fault.New(fault.NotFound, "the company of the request's scope is none of the caller's")
		}
		return company, err
	}
	company, err := l.Company(*a.CompanyID)()
	if err == nil && company == nil {
		none := fault.New(fault.NotFound, "the caller has no company %s", *a.CompanyID)
		none.Argument = "companyId"
		err = none
	}
	return company, err
}

// targetsOf adds the departments to the terms of a subscription, and returns the targets of those that are asked. It
// fails if there are none.
func targetsOf[T any](departments []fanout.Department, t target, terms *parameters[T]) ([]target, error) {
	terms.departments = make(map[scope.Scope]*cc.Department, len(departments))
	targets := make([]target, 0, len(departments))
	var failed error
	for _, d := range departments {
		if d.Err != nil {
			failed = d.Err
			if terms.counts {
				terms.unavailable = append(terms.unavailable, listing.Unavailable(d.Entity, d.Err))
			} else {
				terms.refused = append(terms.refused, departmentError{d.Scope, d.Err})
			}
			continue
		}
		terms.departments[d.Scope] = d.Entity
		t.scope = d.Scope
		targets = append(targets, t)
	}
	if len(targets) == 0 && failed == nil {
		failed = fault.New(fault.Forbidden, "the caller has neither role nor permission in any department of the company")
	}
	if len(targets) == 0 {
		return nil, failed
	}
	if len(targets) > 1 {
		key := sha256.New()
		for _, t := range targets {
			_, _ = io.WriteString(key, t.scope.CompanyID+" "+t.scope.DepartmentID+"\n") // a hash returns no error
		}
		area := string(key.Sum(nil))
		for i := range targets {
			targets[i].area = area
		}
	}
	return targets, nil
}
