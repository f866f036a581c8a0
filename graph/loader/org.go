package loader

import (
	"context"
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// RequestScope is the scope of the request: what it named, else the configured
// default, else, where the principal has one company, that company and the
// viewer's assigned department; else the error SCOPE_REQUIRED.
func (l *Loaders) RequestScope() Thunk[scope.Scope] {
	sc := l.named()
	if sc.CompanyID != "" && sc.DepartmentID != "" {
		return ready(sc)
	}
	return l.requestScope.later(l.execution, struct{}{}, func() (scope.Scope, error) {
		l := &Loaders{execution: l.execution, ahead: true} // look-ahead may wait for this, so it waits for no level
		company, err := l.requestCompany()()
		if err != nil || sc.DepartmentID != "" {
			return scope.Scope{CompanyID: company, DepartmentID: sc.DepartmentID}, err
		}
		self, err := l.self(company)()
		if err != nil {
			return scope.Scope{}, err
		}
		if scope.None(self.AssignedDepartmentID) {
			return scope.Scope{}, fault.New(fault.ScopeRequired,
				"the request names no department and its user is assigned to none: send the header DepartmentId")
		}
		return scope.Scope{CompanyID: company, DepartmentID: scope.Lower(*self.AssignedDepartmentID)}, nil
	})
}

// named is what the request or the configuration names of the scope.
func (l *Loaders) named() scope.Scope {
	sc, def := l.scope, l.engine.opts.Default
	if sc.CompanyID == "" {
		sc.CompanyID = def.CompanyID
	}
	if sc.DepartmentID == "" && sc.CompanyID == def.CompanyID {
		sc.DepartmentID = def.DepartmentID
	}
	return sc
}

// requestCompany is the company of RequestScope, for what needs no department.
func (l *Loaders) requestCompany() Thunk[string] {
	if company := l.named().CompanyID; company != "" {
		return ready(company)
	}
	return then(l.Companies(""), func(companies []*cc.Company) (string, error) {
		if len(companies) != 1 {
			return "", fault.New(fault.ScopeRequired,
				"the request names no company and its user has %d: send the headers CompanyId and DepartmentId", len(companies))
		}
		return companies[0].Scope().CompanyID, nil
	})
}

// companyScope is the scope of calls that concern a whole company: with a
// department only where the request named one of that company.
func (l *Loaders) companyScope(company string) scope.Scope {
	if sc := l.named(); sc.CompanyID == company {
		return sc
	}
	return scope.Scope{CompanyID: company}
}

// Companies are the principal's companies whose name contains name, of which an
// API key may have been allowed only some.
func (l *Loaders) Companies(name string) Thunk[[]*cc.Company] {
	if err := checkTexts("", name, ""); err != nil {
		return failed[[]*cc.Company](err)
	}
	return l.companies.loadRead(l, name, func(ctx context.Context) ([]*cc.Company, error) {
		companies, err := l.engine.console.Companies(ctx, l.named(), name)
		if companies == nil && err == nil {
			companies = []*cc.Company{} // a list without companies is empty, not null
		}
		return seen(principal.FromContext(ctx).Limits(), companies), err
	})
}

// seen are those of the companies that the limits let a principal see. The list
// itself is left as it is.
func seen(limits *principal.Limits, companies []*cc.Company) []*cc.Company {
	if limits == nil {
		return companies
	}
	allowed := make([]*cc.Company, 0, len(companies))
	for _, c := range companies {
		if limits.SeesCompany(c.Scope().CompanyID) {
			allowed = append(allowed, c)
		}
	}
	return allowed
}

// Company is one of the principal's companies, nil where there is none by that id.
func (l *Loaders) Company(id string) Thunk[*cc.Company] {
	return then(l.Companies(""), func(companies []*cc.Company) (*cc.Company, error) {
		for _, c := range companies {
			if strings.EqualFold(c.ID, id) || strings.EqualFold(c.Scope().CompanyID, id) {
				return c, nil
			}
		}
		return nil, nil
	})
}

// CompanyOf is the company of a scope.
func (l *Loaders) CompanyOf(sc scope.Scope) Thunk[*cc.Company] {
	if sc.CompanyID == "" {
		return ready[*cc.Company](nil)
	}
	return l.Company(sc.CompanyID)
}

// Viewer is the caller as the user of the request's company.
func (l *Loaders) Viewer() Thunk[*cc.CompanyUser] {
	return l.inCompany(l.self)
}

// SetPrincipal lets whatever is asked from here on be asked as p: the payload of signIn is
// read as who has signed in. Nothing may have been asked before.
func (l *Loaders) SetPrincipal(p principal.Principal) {
	l.ctx, l.who = principal.NewContext(l.ctx, p), p.Name()
	l.requestScope = &memo[struct{}, scope.Scope]{} // the operation's other fields are asked as the caller, whose scope is another
}

// CompanyViewer is the caller as the user of company c.
func (l *Loaders) CompanyViewer(c *cc.Company) Thunk[*cc.CompanyUser] {
	return l.self(c.Scope().CompanyID)
}

func (l *Loaders) self(company string) Thunk[*cc.CompanyUser] {
	return l.selves.loadRead(l, company, func(ctx context.Context) (*cc.CompanyUser, error) {
		return l.engine.console.Self(ctx, l.companyScope(company))
	})
}

// inCompany runs f for the request's company, at once if that is known.
func (l *Loaders) inCompany(f func(company string) Thunk[*cc.CompanyUser]) Thunk[*cc.CompanyUser] {
	company, err := l.requestCompany()()
	if err != nil {
		return failed[*cc.CompanyUser](err)
	}
	return f(company)
}

// tree is a company's department tree with what its relations need.
type tree struct {
	root    *cc.Department
	all     []*cc.Department // parents before their children
	byID    map[string]*cc.Department
	parents map[string]*cc.Department
}

func newTree(root *cc.Department) *tree {
	t := &tree{root: root, all: []*cc.Department{}, byID: make(map[string]*cc.Department), parents: make(map[string]*cc.Department)}
	var add func(d, parent *cc.Department)
	add = func(d, parent *cc.Department) {
		id := scope.Lower(d.ID)
		if _, seen := t.byID[id]; seen {
			return // a tree that loops would have no end
		}
		t.all = append(t.all, d)
		t.byID[id] = d
		if parent != nil {
			t.parents[id] = parent
		}
		for _, child := range d.Children {
			add(child, d)
		}
	}
	if root != nil {
		add(root, nil)
	}
	return t
}

func (l *Loaders) tree(company string) Thunk[*tree] {
	company = scope.Lower(company)
	read := func(ctx context.Context) (*cc.DepartmentTree, error) {
		return l.engine.console.DepartmentTree(ctx, l.companyScope(company))
	}
	return l.trees.load(l, company, func() bool { return cached(l.execution, read) }, func() (*tree, error) {
		t, err := call(l.execution, read)
		if err != nil {
			return nil, err
		}
		return newTree(t.RootDepartment), nil
	})
}

// RootDepartment is the root of the request's company.
func (l *Loaders) RootDepartment() Thunk[*cc.Department] {
	company, err := l.requestCompany()()
	if err != nil {
		return failed[*cc.Department](err)
	}
	return l.rootOf(company)
}

func (l *Loaders) rootOf(company string) Thunk[*cc.Department] {
	return then(l.tree(company), func(t *tree) (*cc.Department, error) { return t.root, nil })
}

// Department is a department of the request's company, nil where there is none by that id.
func (l *Loaders) Department(id string) Thunk[*cc.Department] {
	company, err := l.requestCompany()()
	if err != nil {
		return failed[*cc.Department](err)
	}
	return l.department(company, id)
}

func (l *Loaders) department(company, id string) Thunk[*cc.Department] {
	return then(l.tree(company), func(t *tree) (*cc.Department, error) { return t.byID[scope.Lower(id)], nil })
}

// DepartmentOf is the department of a scope.
func (l *Loaders) DepartmentOf(sc scope.Scope) Thunk[*cc.Department] {
	if sc.CompanyID == "" || sc.DepartmentID == "" {
		return ready[*cc.Department](nil)
	}
	return l.department(sc.CompanyID, sc.DepartmentID)
}

// CompanyRootDepartment is the root of c's tree.
func (l *Loaders) CompanyRootDepartment(c *cc.Company) Thunk[*cc.Department] {
	return l.rootOf(c.Scope().CompanyID)
}

// CompanyDepartments is the whole tree of c, flat, parents before children.
func (l *Loaders) CompanyDepartments(c *cc.Company) Thunk[[]*cc.Department] {
	return then(l.tree(c.Scope().CompanyID), func(t *tree) ([]*cc.Department, error) { return t.all, nil })
}

// CompanyDepartment is one department of c, nil where there is none by that id.
func (l *Loaders) CompanyDepartment(c *cc.Company, id string) Thunk[*cc.Department] {
	return l.department(c.Scope().CompanyID, id)
}

// DepartmentParent is the department above d, nil for the root.
func (l *Loaders) DepartmentParent(d *cc.Department) Thunk[*cc.Department] {
	return then(l.tree(d.Scope().CompanyID), func(t *tree) (*cc.Department, error) {
		return t.parents[scope.Lower(d.ID)], nil
	})
}

// CompanyUserAssignedDepartment is the department that u is assigned to.
func (l *Loaders) CompanyUserAssignedDepartment(u *cc.CompanyUser) Thunk[*cc.Department] {
	if scope.None(u.AssignedDepartmentID) {
		return ready[*cc.Department](nil)
	}
	return l.department(u.Scope().CompanyID, *u.AssignedDepartmentID)
}
