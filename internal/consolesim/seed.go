package consolesim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// seeder builds a store. All of its random values come from one generator, in a fixed order.
type seeder struct {
	*generator
	st     *store
	people []person
	ids    []string // of the people

	processes []process
	sites     []site
	sets      [][]Argument
}

// Sizes of a department's data.
type sizes struct{ packages, queues, robots, workflows, layouts int }

// namedDepartments is the number of departments of companySeeds.
const namedDepartments = 29

// All entities were created within span of the epoch, 2024-01-08 08:00 UTC.
const (
	epochSeconds = 1_704_700_800
	span         = 700 * 24 * time.Hour
)

// seed builds the data set of the options. started is the time of the start for irregular data, zero without it.
func seed(o Options, started time.Time) *store {
	st := &store{
		companyByID: map[string]*Company{}, departments: map[string]*Department{}, userByName: map[string]*User{},
		packages:  newTable(func(v *Package) *Meta { return &v.Meta }),
		queues:    newTable(func(v *Queue) *Meta { return &v.Meta }),
		robots:    newTable(func(v *Robot) *Meta { return &v.Meta }),
		workflows: newTable(func(v *Workflow) *Meta { return &v.Meta }),
		layouts:   newTable(func(v *Layout) *Meta { return &v.Meta }),
		uploads:   map[string]*upload{}, refusals: map[string]string{},
	}
	s := &seeder{
		generator: newGenerator(o.Seed, 1), st: st, people: people(), processes: processes(), sites: sites(), sets: argumentSets(),
	}
	for range s.people {
		s.ids = append(s.ids, s.id())
	}
	plans := companySeeds()
	root := &plans[0].root
	for n := namedDepartments; n < o.Departments; n++ {
		root.children = append(root.children, branch{name: fmt.Sprintf("Department %d", n+1), description: "One of many"})
	}
	for i := range plans {
		s.company(&plans[i], i)
	}
	s.users()
	s.fill(plans, o.Scale)
	if !started.IsZero() {
		s.irregular(started)
	}
	st.packages.sort()
	st.queues.sort()
	st.robots.sort()
	st.workflows.sort()
	st.layouts.sort()
	st.gen = newGenerator(o.Seed, 2) // for entities that are created later
	return st
}

// meta is the meta data of the i-th of n entities of a department, created in that order.
func (s *seeder) meta(company, dept, name string, i, n int) Meta {
	step := span / time.Duration(n)
	created := time.Unix(epochSeconds, 0).UTC().Add(step*time.Duration(i) + time.Duration(s.r.Int64N(int64(step))))
	by := s.r.IntN(len(s.people))
	m := Meta{
		ID: s.id(), CompanyID: company, DepartmentID: dept, Name: name, ETag: s.etag(),
		CreatedAt: created.Truncate(time.Millisecond),
		CreatedBy: s.ids[by], CreatedByName: s.people[by].name,
	}
	if s.chance(70) {
		by = s.r.IntN(len(s.people))
		m.ModifiedAt = m.CreatedAt.Add(time.Duration(s.between(1, 20*24*60)) * time.Minute)
		m.ModifiedBy, m.ModifiedByName = s.ids[by], s.people[by].name
	}
	return m
}

func (s *seeder) company(plan *companySeed, i int) {
	m := s.meta("", "", plan.name, i, 100)
	m.CompanyID = m.ID
	m.Description, m.Tags = plan.description, plan.tags
	m.Properties = map[string]string{"region": []string{"cn-east", "eu-west", "cn-south"}[i]}
	c := &Company{Meta: m, Edition: plan.edition}
	c.RootDepartmentID = s.department(c, nil, &plan.root)
	s.st.companies = append(s.st.companies, c)
	s.st.companyByID[c.ID] = c
	if i == 0 {
		s.st.mainCompany = c.ID
	}
}

func (s *seeder) department(c *Company, parent *Department, b *branch) string {
	d := &Department{Meta: s.meta(c.ID, "", b.name, len(c.DepartmentIDs), 100), Path: b.name, Level: 1, UserCount: s.between(2, 40)}
	d.DepartmentID, d.Description = d.ID, b.description
	d.Properties = map[string]string{"costCentre": strconv.Itoa(s.between(1000, 9999))}
	if parent != nil {
		d.ParentID, d.Path, d.Level = parent.ID, parent.Path+"/"+b.name, parent.Level+1
	}
	c.DepartmentIDs = append(c.DepartmentIDs, d.ID)
	s.st.departments[d.ID] = d
	if b.name == mainDepartment {
		s.st.mainDept = d.ID
	}
	for i := range b.children {
		d.ChildIDs = append(d.ChildIDs, s.department(c, d, &b.children[i]))
	}
	return d.ID
}

// users creates the owner of all companies, a user of one company and a user of two
// departments. Their passwords are derived from the seed, and protect only this simulation.
func (s *seeder) users() {
	main := s.st.companyByID[s.st.mainCompany]
	second := s.st.companies[1]
	payable := s.st.departments[s.st.mainDept].ChildIDs[0]
	for _, u := range []*User{
		{Username: "demo", DisplayName: "Demo Owner", Owner: true, CompanyIDs: companyIDs(s.st.companies),
			Assigned: map[string]string{main.ID: s.st.mainDept}},
		{Username: "solo", DisplayName: "Sam Solo", CompanyIDs: []string{second.ID},
			Assigned: map[string]string{second.ID: second.DepartmentIDs[1]}},
		{Username: "restricted", DisplayName: "赵敏", CompanyIDs: []string{main.ID},
			DepartmentIDs: []string{s.st.mainDept, payable}, Assigned: map[string]string{main.ID: payable}},
	} {
		u.ID, u.Password = s.id(), "demo-"+s.hex(8)
		u.Email = u.Username + "@example.com"
		u.Memberships = map[string]string{}
		for _, id := range u.CompanyIDs {
			u.Memberships[id] = s.id()
			if u.Assigned[id] == "" {
				u.Assigned[id] = s.st.companyByID[id].RootDepartmentID
			}
		}
		s.st.users = append(s.st.users, u)
		s.st.userByName[u.Username] = u
	}
}

func companyIDs(companies []*Company) []string {
	ids := make([]string, 0, len(companies))
	for _, c := range companies {
		ids = append(ids, c.ID)
	}
	return ids
}

// fill creates the data of every department. The main department has half of the data beyond
// the smallest set.
func (s *seeder) fill(plans []companySeed, scale int) {
	const mainWorkflows, perDepartment = 66, 2
	others := len(s.st.departments) - 1
	extra := max(0, scale-mainWorkflows-perDepartment*others)
	each := extra / 2 / others
	rest := extra - each*others
	for i, c := range s.st.companies {
		for _, id := range c.DepartmentIDs {
			n := sizes{s.between(2, 4), s.between(1, 3), s.between(2, 5), perDepartment + each, 1}
			if id == s.st.mainDept {
				n = sizes{64, 24, 64, mainWorkflows + rest, 12}
			}
			n.packages = max(n.packages, n.workflows/10)
			n.queues = max(n.queues, n.workflows/40)
			n.robots = max(n.robots, n.workflows/10)
			f := &departmentSeeder{seeder: s, plan: &plans[i], dept: s.st.departments[id], n: n, main: id == s.st.mainDept}
			f.fill()
		}
	}
}

// departmentSeeder makes the data of one department.
type departmentSeeder struct {
	*seeder
	plan *companySeed
	dept *Department
	n    sizes
	main bool

	packages  []*item[Package]
	queues    []*item[Queue]
	robotIDs  []string
	workflows []*item[Workflow]
}

func (f *departmentSeeder) fill() {
	for i := range f.n.queues {
		f.queue(i)
	}
	for i := range f.n.robots {
		f.robot(i)
	}
	for i := range f.n.packages {
		f.pack(i)
	}
	for i := range f.n.workflows {
		f.workflow(i)
	}
	for i := range f.n.layouts {
		f.layout(i)
	}
}

// next is the meta data of the department's i-th entity of n.
func (f *departmentSeeder) next(name string, i, n int) Meta {
	return f.meta(f.dept.CompanyID, f.dept.ID, name, i, n)
}

// title returns a name for the i-th entity of a process, in the company's language.
func (f *departmentSeeder) title(i int) (string, process) {
	all, where := f.processes, f.sites
	if !f.main {
		i += int(hash64(f.dept.Path) % uint64(len(all)))
	}
	p, at := all[i%len(all)], where[i/len(all)%len(where)]
	chinese := f.plan.chinese && (!f.plan.english || i%2 == 1)
	name, place := p.english, at.english
	if chinese {
		name, place = p.chinese, at.chinese
	}
	if place != "" {
		name += " · " + place
	}
	if round := i / len(all) / len(where); round > 0 {
		name += fmt.Sprintf(" #%d", round+1)
	}
	return name, p
}

// code is a process's name as a file name.
func code(p process) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(strings.ReplaceAll(p.english, "-", " ")) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func last[T any](items []T) T { return items[len(items)-1] }

// pick returns n distinct elements of all, starting at from.
func pick(all []string, from, n int) []string {
	out := make([]string, 0, n)
	for i := range min(n, len(all)) {
		out = append(out, all[(from+i)%len(all)])
	}
	return slices.Clip(out)
}
