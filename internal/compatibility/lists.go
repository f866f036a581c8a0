package compatibility

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/internal/scope"
)

// page is a page of entities, whose members are in lower case.
type page struct {
	count int // of the whole list; -1: the console does not say
	list  []map[string]any
}

// list checks one list: its fields and enums, its pages, and the parameter Ids.
func (r *Report) list(ctx context.Context, c Console, l list) {
	p := r.entities(ctx, c, l, url.Values{"PageIndex": {"0"}, "PageSize": {strconv.Itoa(checkPageSize)}})
	if p == nil {
		return
	}
	if n := len(p.list); n < p.count && n < checkPageSize && n > 0 {
		r.Warn(l.operation, "a page has at most %d entities: long lists take more calls", n)
	}
	if l.ids {
		r.ids(ctx, c, l, p)
	}
	if len(p.list) == 0 {
		return
	}
	for field := range l.entity.Fields() {
		name := nameOf(field)
		cost, ok := undocumented()[name]
		switch {
		case ok && lacks(p, strings.ToLower(name)):
			r.Warn(l.operation, "the entities lack %s: %s", name, cost)
		case ok:
			r.OK(l.operation, "the entities have %s", name)
		}
	}
}

// nameOf returns the name of a field on the wire; empty: it has none.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// lacks reports whether no entity of a page has the member.
func lacks(p *page, member string) bool {
	return !slices.ContainsFunc(p.list, func(e map[string]any) bool { return e[member] != nil })
}

// entities gets a list and checks the fields of its entities. It returns nil if there is no list.
func (r *Report) entities(ctx context.Context, c Console, l list, query url.Values) *page {
	a, err := c.get(ctx, l.operation, query)
	if !r.answered(l.operation, c, a, err) {
		return nil
	}
	p := readPage(a.body, l.member)
	if p == nil {
		r.Fail(l.operation, "its answer is not the console's list (content type %q)", a.header.Get("Content-Type"))
		return nil
	}
	if len(p.list) == 0 {
		r.Warn(l.operation, "the list is empty: its fields are not checked")
		return p
	}
	missing, unknown := compare(l.entity, p.list)
	switch {
	case len(missing) > 0:
		r.Warn(l.operation, "%d checked, none with the documented fields %s: they are null", len(p.list), strings.Join(missing, ", "))
	default:
		r.OK(l.operation, "%d checked, with all documented fields", len(p.list))
	}
	if len(unknown) > 0 {
		r.Warn(l.operation, "values that the document does not list: %s; they are UNKNOWN", strings.Join(unknown, ", "))
	}
	return p
}

// readPage reads the answer of a list; nil: it is none.
func readPage(body []byte, member string) *page {
	var raw any
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil {
		return nil
	}
	p := &page{count: -1}
	all, bare := raw.([]any)
	if !bare {
		object, ok := raw.(map[string]any)
		if !ok {
			return nil
		}
		object = lowered(object)
		if all, ok = object[member].([]any); !ok {
			if all, ok = object["list"].([]any); !ok {
				return nil
			}
		}
		if n, err := strconv.Atoi(text(object["count"])); err == nil {
			p.count = n
		}
	}
	for _, each := range all {
		entity, ok := each.(map[string]any)
		if !ok {
			return nil
		}
		p.list = append(p.list, lowered(entity))
	}
	return p
}

// lowered returns an object with its members in lower case.
func lowered(object map[string]any) map[string]any {
	lower := make(map[string]any, len(object))
	for name, value := range object {
		lower[strings.ToLower(name)] = value
	}
	return lower
}

// text returns a string or a number as text.
func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// undocumented returns the fields that consoles send although the document does not list them, and what their absence
// costs.
func undocumented() map[string]string {
	return map[string]string{
		"associatedRobotIds": "the robots of each workflow take a call",
		"eTag":               "an update takes that of the latest version, which costs a call",
	}
}

// compare returns the documented fields that no entity has, and the values of enums that are not in the document.
func compare(model reflect.Type, entities []map[string]any) (missing, unknown []string) {
	for field := range model.Fields() {
		name := nameOf(field)
		if _, ok := undocumented()[name]; ok || name == "" {
			continue
		}
		present := false
		for _, e := range entities {
			value, has := e[strings.ToLower(name)]
			present = present || has
			if has && value != nil && isUnknown(field.Type, value) {
				unknown = append(unknown, fmt.Sprintf("%s %.40q", name, text(value)))
			}
		}
		if !present {
			missing = append(missing, name)
		}
	}
	slices.Sort(unknown)
	return missing, slices.Compact(unknown)
}

// isUnknown reports whether the type is an enum of the document and the value none of its values.
func isUnknown(of reflect.Type, value any) bool {
	if of.Kind() != reflect.Uint8 || !of.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return false
	}
	raw, err := json.Marshal(value)
	decoded := reflect.New(of)
	return err == nil && (jsonv2.Unmarshal(raw, decoded.Interface()) != nil || decoded.Elem().IsZero())
}

// ids checks whether a list takes the parameter Ids.
func (r *Report) ids(ctx context.Context, c Console, l list, p *page) {
	if len(p.list) < 2 {
		r.Warn(l.operation, "the list is too short to see whether it takes the parameter Ids")
		return
	}
	id := scope.Canonical(text(p.list[1]["id"]))
	a, err := c.get(ctx, l.operation, url.Values{"PageIndex": {"0"}, "PageSize": {"20"}, "Ids": {id}})
	if !r.answered(l.operation, c, a, err) {
		return
	}
	found := readPage(a.body, l.member)
	taken := found != nil && len(found.list) == 1 && scope.Same(text(found.list[0]["id"]), id)
	switch {
	case taken && c.IDs == "off":
		r.Warn(l.operation, "it takes the parameter Ids, and CONSOLEQL_CONSOLE_IDS is off: batches take more calls")
	case taken:
		r.OK(l.operation, "it takes the parameter Ids")
	case c.IDs == "on":
		r.Fail(l.operation, "it ignores the parameter Ids, and CONSOLEQL_CONSOLE_IDS is on")
	default:
		r.Warn(l.operation, "it ignores the parameter Ids: entities are found by walking the list")
	}
}
