package consolesim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const defaultPageSize = 20

// listQuery are the query parameters that lists share.
type listQuery struct {
	name, search                  string // folded; "" matches everything
	start, end                    time.Time
	queueID, packageID, versionID string
	desc, includeVersions         bool
	page, size                    int
	ids                           map[string]struct{} // nil: not asked for
}

// filtered reports whether the query selects entities by content.
func (q *listQuery) filtered() bool {
	return q.name != "" || q.search != "" || !q.start.IsZero() || !q.end.IsZero()
}

// listKind lists a list's parameters beyond the common ones. Unknown parameters are ignored.
type listKind struct {
	times   bool // StartTime, EndTime
	filters bool // AssociatedQueueId, PackageId, PackageVersionId
	ids     bool // Ids
}

// parseList parses the parameters of a list operation. Names are case-insensitive.
func (c *call) parseList(kind listKind) (*listQuery, error) {
	if c.s.opts.NoIDs && kind.ids {
		kind.ids, kind.times = false, false
	}
	p := params{}
	for k, v := range c.r.URL.Query() {
		k = strings.ToLower(k)
		p.values = mergeValues(p.values, k, v)
	}
	q := &listQuery{
		name: strings.ToLower(p.get("Name")), search: strings.ToLower(p.get("SearchString")),
		desc: p.bool("IsDesc", true), includeVersions: p.bool("IncludeVersions", false),
		page: p.int("PageIndex", 0, 0), size: min(p.int("PageSize", defaultPageSize, 1), c.s.opts.PageClamp),
	}
	if kind.times {
		q.start, q.end = p.time("StartTime"), p.time("EndTime")
	}
	if kind.filters {
		q.queueID, q.packageID, q.versionID = p.guid("AssociatedQueueId"), p.guid("PackageId"), p.guid("PackageVersionId")
	}
	if kind.ids && len(p.values["ids"]) > 0 {
		q.ids = map[string]struct{}{}
		for _, id := range p.values["ids"] {
			if !isGUID(id) {
				return nil, badRequest("The value '%s' is not valid for Ids.", clip(id))
			}
			q.ids[strings.ToLower(id)] = struct{}{}
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	if q.page > (1<<31)/q.size {
		return nil, badRequest("PageIndex is too large.")
	}
	return q, nil
}

func mergeValues(values url.Values, key string, more []string) url.Values {
	if values == nil {
		values = url.Values{}
	}
	values[key] = append(values[key], more...)
	return values
}

// params contains query parameters by lower-case name, and the first error.
type params struct {
	values url.Values
	err    error
}

func (p *params) get(name string) string { return p.values.Get(strings.ToLower(name)) }

func (p *params) fail(name, value string) {
	if p.err == nil {
		p.err = badRequest("The value '%s' is not valid for %s.", clip(value), name)
	}
}

func (p *params) bool(name string, fallback bool) bool {
	v := p.get(name)
	if v == "" {
		return fallback
	}
	b, err := strconv.ParseBool(strings.ToLower(v))
	if err != nil {
		p.fail(name, v)
	}
	return b
}

func (p *params) int(name string, fallback, least int) int {
	v := p.get(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || int(n) < least {
		p.fail(name, v)
		return fallback
	}
	return int(n)
}

func (p *params) guid(name string) string {
	v := p.get(name)
	if v != "" && !isGUID(v) {
		p.fail(name, v)
	}
	return strings.ToLower(v)
}

func (p *params) time(name string) time.Time {
	v := p.get(name)
	if v == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil {
			return t
		}
	}
	p.fail(name, v)
	return time.Time{}
}

// page encodes one page of a list. The store's read lock must be held.
func page[T any](c *call, count int, items []*item[T], one func([]byte, *item[T]) []byte) reply {
	e := c.encoder()
	e.b = make([]byte, 0, 64+1792*len(items))
	e.begin()
	e.int("count", int64(count))
	e.beginListAt("list")
	for _, it := range items {
		e.b = append(one(e.b, it), ',')
	}
	e.endList()
	e.end()
	return okJSON(e.bytes())
}

// single answers one entity, wrapped or not, in the dialect's form. captured reports that a
// real console has wrapped it.
func single(c *call, captured bool, entity []byte) reply {
	d := c.s.opts.Dialect
	if !d.WrapSingle && (!captured || d.BareSingle) {
		return okJSON(entity)
	}
	e := c.encoder()
	e.begin()
	e.int("count", 1)
	e.beginListAt("list")
	e.b = append(append(e.b, entity...), ',')
	e.endList()
	e.end()
	return okJSON(e.bytes())
}

// deleted answers a DELETE in the dialect's form.
func deleted(c *call, entity []byte) reply {
	switch d := c.s.opts.Dialect; {
	case d.DeleteReturnsEntity:
		return okJSON(entity)
	case d.DeleteStatusOK:
		return reply{status: http.StatusOK}
	default:
		return reply{status: http.StatusNoContent}
	}
}

// cached appends an entity's JSON, which it encodes only if no valid copy is stored. The
// store's read lock must be held.
func cached[T any](c *call, dst []byte, it *item[T], slot int, epoch int64, encode func(*encoder, *T)) []byte {
	if stored := it.enc[slot].Load(); stored != nil && stored.epoch == epoch {
		return append(dst, stored.b...)
	}
	e := c.encoder()
	e.id = it.meta.ID
	encode(e, &it.v)
	stored := &encoded{epoch: epoch, b: e.bytes()}
	it.enc[slot].Store(stored)
	return append(dst, stored.b...)
}

// created writes the fields about an entity's creation and last change.
func (e *encoder) created(m *Meta) {
	e.time("createdAt", m.CreatedAt)
	e.opt("createdBy", m.CreatedBy)
	e.opt("createdByName", m.CreatedByName)
	e.time("modifiedAt", m.ModifiedAt)
	e.opt("modifiedBy", m.ModifiedBy)
	e.opt("modifiedByName", m.ModifiedByName)
}

// beyond writes the undocumented fields of a department's entity.
func (e *encoder) beyond(m *Meta, resourceType string) {
	if !e.extra() {
		return
	}
	e.str("eTag", m.ETag)
	e.str("tenantId", m.CompanyID)
	e.str("resourceGroupId", m.DepartmentID)
	e.enum("resourceType", resourceTypes, resourceType)
	e.opt("parentId", m.DepartmentID)
}
