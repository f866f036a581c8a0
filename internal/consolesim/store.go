package consolesim

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// store is the console's data. Companies, departments and users never change after seeding and
// need no lock. mu guards everything else.
type store struct {
	companies   []*Company
	companyByID map[string]*Company
	departments map[string]*Department
	users       []*User
	userByName  map[string]*User
	mainCompany string
	mainDept    string

	mu        sync.RWMutex
	gen       *generator
	packages  *table[Package]
	queues    *table[Queue]
	robots    *table[Robot]
	workflows *table[Workflow]
	layouts   *table[Layout]
	jobs      []*Job
	jobSeq    int64
	uploads   map[string]*upload
	uploadSeq []string          // ids of uploads, oldest first
	refusals  map[string]string // reasons not to upgrade a workflow, by its id
}

// item is an entity with derived data.
type item[T any] struct {
	v      T
	meta   *Meta  // within v
	name   string // folded, for Name
	search string // folded, for SearchString
	enc    [2]atomic.Pointer[encoded]
}

// encoded is an entity's JSON, valid as long as the epoch is the same.
type encoded struct {
	epoch int64
	b     []byte
}

// table holds the entities of one kind, ordered by (creation time, id) within each department.
type table[T any] struct {
	meta   func(*T) *Meta
	byID   map[string]*item[T]
	byDept map[string][]*item[T]
}

func newTable[T any](meta func(*T) *Meta) *table[T] {
	return &table[T]{meta: meta, byID: map[string]*item[T]{}, byDept: map[string][]*item[T]{}}
}

func (t *table[T]) wrap(v T) *item[T] {
	it := &item[T]{v: v}
	it.meta = t.meta(&it.v)
	it.changed()
	return it
}

// changed must be called under the write lock after every change of it.v.
func (it *item[T]) changed() {
	m := it.meta
	it.name = strings.ToLower(m.Name)
	it.search = strings.ToLower(m.Name + "\n" + m.Description + "\n" + strings.Join(m.Tags, "\n"))
	for i := range it.enc {
		it.enc[i].Store(nil)
	}
}

func order[T any](a, b *item[T]) int {
	if c := a.meta.CreatedAt.Compare(b.meta.CreatedAt); c != 0 {
		return c
	}
	return cmp.Compare(a.meta.ID, b.meta.ID)
}

// load adds without keeping the order; sort must follow.
func (t *table[T]) load(v T) *item[T] {
	it := t.wrap(v)
	t.byID[it.meta.ID] = it
	t.byDept[it.meta.DepartmentID] = append(t.byDept[it.meta.DepartmentID], it)
	return it
}

func (t *table[T]) sort() {
	for _, l := range t.byDept {
		slices.SortFunc(l, order[T])
	}
}

func (t *table[T]) add(v T) *item[T] {
	it := t.wrap(v)
	l := t.byDept[it.meta.DepartmentID]
	i := sort.Search(len(l), func(i int) bool { return order(l[i], it) > 0 })
	t.byID[it.meta.ID] = it
	t.byDept[it.meta.DepartmentID] = slices.Insert(l, i, it)
	return it
}

func (t *table[T]) remove(it *item[T]) {
	dept := it.meta.DepartmentID
	delete(t.byID, it.meta.ID)
	t.byDept[dept] = slices.DeleteFunc(t.byDept[dept], func(o *item[T]) bool { return o == it })
}

// in finds an entity within a department; nil if it is not there.
func (t *table[T]) in(dept, id string) *item[T] {
	if it := t.byID[id]; it != nil && it.meta.DepartmentID == dept {
		return it
	}
	return nil
}

// find returns the entity that the path of a call names. kind is its name in the error if the department has none. The caller
// holds st.mu.
func find[T any](c *call, t *table[T], kind string) (*item[T], error) {
	id, err := c.guid(0)
	if err != nil {
		return nil, err
	}
	if it := t.in(c.dept.ID, id); it != nil {
		return it, nil
	}
	return nil, notFound(kind, id)
}

// list answers one page of a department's entities and the number of all that match. keep may be nil.
func (t *table[T]) list(dept string, q *listQuery, keep func(*item[T]) bool) (int, []*item[T]) {
	all := t.byDept[dept]
	if q.ids != nil {
		all = make([]*item[T], 0, len(q.ids))
		for id := range q.ids {
			if it := t.in(dept, id); it != nil {
				all = append(all, it)
			}
		}
		slices.SortFunc(all, order[T])
	}
	from := q.page * q.size
	if !q.filtered() && keep == nil {
		return len(all), window(all, q.desc, from, q.size)
	}
	count, page := 0, make([]*item[T], 0, min(q.size, 64))
	for i := range all {
		it := all[i]
		if q.desc {
			it = all[len(all)-1-i]
		}
		if !matches(it, q) || keep != nil && !keep(it) {
			continue
		}
		if count >= from && len(page) < q.size {
			page = append(page, it)
		}
		count++
	}
	return count, page
}

func window[T any](all []*item[T], desc bool, from, size int) []*item[T] {
	if from >= len(all) {
		return nil
	}
	to := min(from+size, len(all))
	if !desc {
		return all[from:to]
	}
	page := slices.Clone(all[len(all)-to : len(all)-from])
	slices.Reverse(page)
	return page
}

func matches[T any](it *item[T], q *listQuery) bool {
	return (q.name == "" || strings.Contains(it.name, q.name)) &&
		(q.search == "" || strings.Contains(it.search, q.search)) &&
		(q.start.IsZero() || !it.meta.CreatedAt.Before(q.start)) &&
		(q.end.IsZero() || !it.meta.CreatedAt.After(q.end))
}

// generator is the source of everything random in the data.
type generator struct{ r *rand.Rand }

func newGenerator(seed, stream uint64) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, stream))}
}

// id makes a version 4 GUID.
func (g *generator) id() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], g.r.Uint64())
	binary.BigEndian.PutUint64(b[8:], g.r.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// hex makes n random bytes in hexadecimal.
func (g *generator) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	return hex.EncodeToString(b)
}

func (g *generator) etag() string { return `"` + g.hex(8) + `"` }

// between returns a number from lo to hi, both included.
func (g *generator) between(lo, hi int) int { return lo + g.r.IntN(hi-lo+1) }

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

// recordChange updates an entity's modification data. It must be called under the write lock.
func (st *store) recordChange(m *Meta, u *User, now time.Time) {
	m.ModifiedAt, m.ModifiedBy, m.ModifiedByName = now.UTC(), u.ID, u.DisplayName
	m.ETag = st.gen.etag()
}

// fresh creates the meta data of a new entity. It must be called under the write lock.
func (st *store) fresh(c *call, name string) Meta {
	return Meta{
		ID: st.gen.id(), CompanyID: c.company.ID, DepartmentID: c.dept.ID, Name: name, ETag: st.gen.etag(),
		CreatedAt: c.now().UTC(), CreatedBy: c.user.ID, CreatedByName: c.user.DisplayName,
	}
}

// guidFrom derives a GUID from its parts, where storing one is not worthwhile.
func guidFrom(parts ...string) string {
	return newGenerator(hash64(parts...), 0).id()
}
