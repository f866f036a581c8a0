package loader

import (
	"context"
	"strings"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/entity"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// RequestScope returns the scope that the request names, or else the configured default. If neither is complete and the
// principal has one company, it is that company and the viewer's assigned department. Otherwise the error is
// SCOPE_REQUIRED.
func (l *Loaders) RequestScope() batch.Thunk[scope.Scope] {
	sc := l.namedScope()
	if sc.CompanyID != "" && sc.DepartmentID != "" {
		return batch.Ready(sc)
	}
	return l.requestScope.Lazy(l.Execution, struct{}{}, func() (scope.Scope, error) {
		l := l.ahead() // look-ahead may wait for these reads, so they must not wait for look-ahead
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

// namedScope returns what the request or the configuration names of the scope.
func (s *state) namedScope() scope.Scope {
	sc, def := s.scope, s.engine.opts.Default
	if sc.CompanyID == "" {
		sc.CompanyID = def.CompanyID
	}
	if sc.DepartmentID == "" && sc.CompanyID == def.CompanyID {
		sc.DepartmentID = def.DepartmentID
	}
	return sc
}

// requestCompany returns the company of RequestScope, for reads that need no department.
func (l *Loaders) requestCompany() batch.Thunk[string] {
	if company := l.namedScope().CompanyID; company != "" {
		return batch.Ready(company)
	}
	return batch.Then(l.Companies(""), func(companies []*cc.Company) (string, error) {
		if len(companies) != 1 {
			return "", fault.New(fault.ScopeRequired,
				"the request names no company and its user has %d: send the headers CompanyId and DepartmentId", len(companies))
		}
		return companies[0].Scope().CompanyID, nil
	})
}

// companyScope returns the scope of a call that concerns a whole company. It has a department only if the request names
// one of that company.
func (l *Loaders) companyScope(company string) scope.Scope {
	if sc := l.namedScope(); sc.CompanyID == company {
		return sc
	}
	return scope.Scope{CompanyID: company}
}

// Companies returns the principal's companies whose name contains name. An API key may allow only some of them.
func (l *Loaders) Companies(name string) batch.Thunk[[]*cc.Company] {
	if err := entity.CheckName(name); err != nil {
		return batch.Failed[[]*cc.Company](err)
	}
	return l.companies.LoadRead(l.Access, name, func(ctx context.Context) ([]*cc.Company, error) {
		companies, err := l.engine.console.Companies(ctx, l.namedScope(), name)
		return visible(principal.FromContext(ctx).Limits(), companies), err
	})
}

// visible returns those of the companies that the limits allow, each once: the console may list a company for each role of
// the user. It does not change the list, and does not return nil.
func visible(limits *principal.Limits, companies []*cc.Company) []*cc.Company {
	allowed := make([]*cc.Company, 0, len(companies))
	seen := make(map[string]struct{}, len(companies))
	for _, c := range companies {
		id := scope.Lower(c.Scope().CompanyID)
		if _, ok := seen[id]; ok || !limits.SeesCompany(id) {
			continue
		}
		seen[id] = struct{}{}
		allowed = append(allowed, c)
	}
	return allowed
}

// Company returns one of the principal's companies, nil if it has none with that id. It fails with FORBIDDEN for a company
// that the API key does not allow.
func (l *Loaders) Company(id string) batch.Thunk[*cc.Company] {
	return batch.Then(l.Companies(""), func(companies []*cc.Company) (*cc.Company, error) {
		for _, c := range companies {
			if strings.EqualFold(c.ID, id) || strings.EqualFold(c.Scope().CompanyID, id) {
				return c, nil
			}
		}
		if !principal.FromContext(l.Context()).Limits().SeesCompany(id) {
			return nil, fault.New(fault.Forbidden, "the API key may not be used in this company")
		}
		return nil, nil
	})
}

// CompanyOf returns the company of a scope.
func (l *Loaders) CompanyOf(sc scope.Scope) batch.Thunk[*cc.Company] {
	if sc.CompanyID == "" {
		return batch.Ready[*cc.Company](nil)
	}
	return l.Company(sc.CompanyID)
}

// Viewer returns the caller as a user of the request's company.
func (l *Loaders) Viewer() batch.Thunk[*cc.CompanyUser] {
	company, err := l.requestCompany()()
	if err != nil {
		return batch.Failed[*cc.CompanyUser](err)
	}
	return l.self(company)
}

// SetPrincipal makes p the principal of all later reads: the payload of signIn is read as the user who signed in. It must
// be called before the first read.
func (l *Loaders) SetPrincipal(p principal.Principal) {
	l.Execution.SetPrincipal(p)
	l.requestScope = &batch.Memo[struct{}, scope.Scope]{} // the operation's other fields are read as the caller, who has another scope
}

// CompanyViewer returns the caller as a user of company c.
func (l *Loaders) CompanyViewer(c *cc.Company) batch.Thunk[*cc.CompanyUser] {
	return l.self(c.Scope().CompanyID)
}

// self returns the caller as a user of a company.
func (l *Loaders) self(company string) batch.Thunk[*cc.CompanyUser] {
	return l.selves.LoadRead(l.Access, company, func(ctx context.Context) (*cc.CompanyUser, error) {
		return l.engine.console.Self(ctx, l.companyScope(company))
	})
}

// tree is a company's department tree, indexed for its relations.
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
			return // the tree has a cycle
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

// tree returns the department tree of a company.
func (l *Loaders) tree(company string) batch.Thunk[*tree] {
	company = scope.Lower(company)
	read := func(ctx context.Context) (*cc.DepartmentTree, error) {
		return l.engine.console.DepartmentTree(ctx, l.companyScope(company))
	}
	return l.trees.Load(l.Access, company, func() bool { return batch.Cached(l.Execution, read) }, func() (*tree, error) {
		t, err := batch.Call(l.Execution, read)
		if err != nil {
			return nil, err
		}
		return newTree(t.RootDepartment), nil
	})
}

// RootDepartment returns the root department of the request's company.
func (l *Loaders) RootDepartment() batch.Thunk[*cc.Department] {
	company, err := l.requestCompany()()
	if err != nil {
		return batch.Failed[*cc.Department](err)
	}
	return l.rootOf(company)
}

func (l *Loaders) rootOf(company string) batch.Thunk[*cc.Department] {
	return batch.Then(l.tree(company), func(t *tree) (*cc.Department, error) { return t.root, nil })
}

// Department returns a department of the request's company, nil if there is none with that id.
func (l *Loaders) Department(id string) batch.Thunk[*cc.Department] {
	company, err := l.requestCompany()()
	if err != nil {
		return batch.Failed[*cc.Department](err)
	}
	return l.department(company, id)
}

func (l *Loaders) department(company, id string) batch.Thunk[*cc.Department] {
	return batch.Then(l.tree(company), func(t *tree) (*cc.Department, error) { return t.byID[scope.Lower(id)], nil })
}

// DepartmentOf returns the department of a scope.
func (l *Loaders) DepartmentOf(sc scope.Scope) batch.Thunk[*cc.Department] {
	if sc.CompanyID == "" || sc.DepartmentID == "" {
		return batch.Ready[*cc.Department](nil)
	}
	return l.department(sc.CompanyID, sc.DepartmentID)
}

// CompanyRootDepartment returns the root department of c.
func (l *Loaders) CompanyRootDepartment(c *cc.Company) batch.Thunk[*cc.Department] {
	return l.rootOf(c.Scope().CompanyID)
}

// CompanyDepartments returns all departments of c, parents before children.
func (l *Loaders) CompanyDepartments(c *cc.Company) batch.Thunk[[]*cc.Department] {
	return batch.Then(l.tree(c.Scope().CompanyID), func(t *tree) ([]*cc.Department, error) { return t.all, nil })
}

// CompanyDepartment returns one department of c, nil if there is none with that id.
func (l *Loaders) CompanyDepartment(c *cc.Company, id string) batch.Thunk[*cc.Department] {
	return l.department(c.Scope().CompanyID, id)
}

// DepartmentParent returns the parent of d, nil for the root.
func (l *Loaders) DepartmentParent(d *cc.Department) batch.Thunk[*cc.Department] {
	return batch.Then(l.tree(d.Scope().CompanyID), func(t *tree) (*cc.Department, error) {
		return t.parents[scope.Lower(d.ID)], nil
	})
}

// CompanyUserAssignedDepartment returns the department that u is assigned to.
func (l *Loaders) CompanyUserAssignedDepartment(u *cc.CompanyUser) batch.Thunk[*cc.Department] {
	if scope.None(u.AssignedDepartmentID) {
		return batch.Ready[*cc.Department](nil)
	}
	return l.department(u.Scope().CompanyID, *u.AssignedDepartmentID)
}
