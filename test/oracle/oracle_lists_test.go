package oracle

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// conditions are the fields of filters that the console does not have.
var conditions = []string{"ids", "status", "silentFor", "withoutQueue", "outdated", "tags", "triggeredBefore", "triggeredAfter", "unused", "empty"}

// connection returns a range of a department's list. implied is the filter of the list's parent.
func (ex *execution) connection(at requestScope, path string, f *ast.Field, implied ...string) (any, error) {
	args := ex.arguments(f)
	all, err := ex.filtered(at, path, args, implied...)
	if err != nil {
		return nil, err
	}
	if by, ok := args["orderBy"].(map[string]any); ok {
		all = ex.sorted(all, by)
	}
	return rangeOf(args, all, nil), nil
}

// companyList returns a range of a list over departments.
func (ex *execution) companyList(scopes []departmentScope, path string, f *ast.Field) (any, error) {
	args := ex.arguments(f)
	if matchesNothing(args) {
		return rangeOf(args, nil, []any{}), nil
	}
	lists, missing, err := ex.readDepartments(scopes, func(at requestScope) ([]any, error) { return ex.filtered(at, path, args) })
	if err != nil {
		return nil, err
	}
	var all []any
	by, ordered := args["orderBy"].(map[string]any)
	switch {
	case ordered, path == "robots": // robots have no time of creation
		if !ordered {
			by = map[string]any{"field": "NAME"}
		}
		all = ex.sorted(slices.Concat(lists...), by)
	default:
		all = ex.merged(lists, args["order"] != "ASC")
	}
	return rangeOf(args, all, missing), nil
}

// filtered returns a department's list with all conditions of the argument `filter`.
func (ex *execution) filtered(at requestScope, path string, args map[string]any, implied ...string) ([]any, error) {
	filter, _ := args["filter"].(map[string]any)
	query := url.Values{"IsDesc": {strconv.FormatBool(args["order"] != "ASC")}}
	for name, v := range filter {
		if text, _ := v.(string); text != "" && !slices.Contains(conditions, name) {
			query.Set(name, text)
		}
	}
	for i := 0; i < len(implied); i += 2 {
		for name := range query {
			if !strings.EqualFold(name, implied[i]) {
				continue
			}
			if !strings.EqualFold(query.Get(name), implied[i+1]) {
				return nil, nil // the filter has another id than the parent
			}
			query.Del(name)
		}
		query.Set(implied[i], implied[i+1])
	}
	if matchesNothing(args) {
		return nil, nil
	}
	all, err := ex.list(ex.user, at, path, query)
	if err != nil {
		return nil, err
	}
	selected := []any{}
	for _, v := range all {
		ok := true
		for name, want := range filter {
			if want == nil || !slices.Contains(conditions, name) {
				continue
			}
			is, err := ex.satisfies(v.(consoleObject), path, name, want)
			if err != nil {
				return nil, err
			}
			ok = ok && is
		}
		if ok {
			selected = append(selected, v)
		}
	}
	return selected, nil
}

// matchesNothing reports whether a filter allows no value. The gateway then reads neither lists nor departments.
func matchesNothing(args map[string]any) bool {
	filter, _ := args["filter"].(map[string]any)
	return slices.ContainsFunc([]string{"ids", "status"}, func(name string) bool {
		allowed, ok := filter[name].([]any)
		return ok && len(allowed) == 0
	})
}

// satisfies reports whether an entity satisfies a condition.
func (ex *execution) satisfies(v consoleObject, path, condition string, want any) (bool, error) {
	switch condition {
	case "ids":
		return slices.ContainsFunc(textsOf(want), func(id string) bool { return strings.EqualFold(id, v.text("id")) }), nil
	case "status":
		return slices.Contains(textsOf(want), ex.status(v)), nil
	case "silentFor":
		return ex.silent([]any{v}, want.(int)) == "1", nil
	case "tags":
		tags, _ := v.fields["tags"].([]any)
		return !slices.ContainsFunc(textsOf(want), func(tag string) bool { return !slices.Contains(tags, any(tag)) }), nil
	case "triggeredBefore":
		at := v.text("lastTriggeredAt")
		return at == "" || parseTime(at).Before(parseTime(want.(string))), nil
	case "triggeredAfter":
		at := v.text("lastTriggeredAt")
		return at != "" && parseTime(at).After(parseTime(want.(string))), nil
	}
	is, err := ex.predicate(v, path)
	return is == want, err
}

// predicate returns the property of an entity that other lists tell. Unknown is false.
func (ex *execution) predicate(v consoleObject, path string) (bool, error) {
	switch path {
	case "workflows":
		outdated, err := ex.ofWorkflow(v, &ast.Field{Name: "outdated"})
		if errors.Is(err, refusal("NOT_FOUND")) {
			return false, nil
		}
		return outdated == true, err
	case "packages":
		unused, err := ex.ofPackage(v, &ast.Field{Name: "unused"})
		return unused == true, err
	case "robots":
		queues, err := ex.ofRobot(v, "queues")
		return len(queues) == 0, err
	default:
		robots, err := ex.list(ex.user, v.in, "robots", url.Values{"AssociatedQueueId": {v.text("id")}})
		return len(robots) == 0, err
	}
}

// textsOf returns the values of a list, which may be written as one value.
func textsOf(v any) []string {
	if text, ok := v.(string); ok {
		return []string{text}
	}
	all := []string{}
	for _, text := range v.([]any) {
		all = append(all, text.(string))
	}
	return all
}

func parseTime(text string) time.Time {
	at, _ := time.Parse(time.RFC3339, text)
	return at
}

// sortKey is what an entity is ordered by.
type sortKey struct {
	null   bool
	text   string
	time   time.Time
	number int
	id     string
}

func (ex *execution) sortKey(v consoleObject, field string) sortKey {
	k := sortKey{id: strings.ToLower(v.text("id"))}
	switch field {
	case "NAME":
		k.text = v.text("name")
	case "STATUS":
		k.number = slices.IndexFunc(ex.schema.Types["RobotStatus"].EnumValues, func(e *ast.EnumValueDefinition) bool { return e.Name == ex.status(v) })
	default:
		text := v.text(strings.ReplaceAll(field, "_", ""))
		k.null, k.time = text == "", parseTime(text)
	}
	return k
}

// compare compares two entities. Null is last in both directions.
func (k sortKey) compare(other sortKey, descending bool) int {
	if k.null != other.null {
		if k.null {
			return 1
		}
		return -1
	}
	sign := 1
	if descending {
		sign = -1
	}
	return cmp.Or(sign*cmp.Or(strings.Compare(k.text, other.text), k.time.Compare(other.time), k.number-other.number), strings.Compare(k.id, other.id))
}

// sorted orders entities.
func (ex *execution) sorted(all []any, by map[string]any) []any {
	field, _ := by["field"].(string)
	return slices.SortedFunc(slices.Values(all), func(a, b any) int {
		return ex.sortKey(a.(consoleObject), field).compare(ex.sortKey(b.(consoleObject), field), by["direction"] == "DESC")
	})
}

// merged merges lists that the console has ordered by the time of creation.
func (ex *execution) merged(lists [][]any, descending bool) []any {
	lists = slices.DeleteFunc(slices.Clone(lists), func(list []any) bool { return len(list) == 0 })
	var all []any
	for len(lists) > 0 {
		next := 0
		for i := range lists {
			if ex.sortKey(lists[i][0].(consoleObject), "CREATED_AT").compare(ex.sortKey(lists[next][0].(consoleObject), "CREATED_AT"), descending) < 0 {
				next = i
			}
		}
		all = append(all, lists[next][0])
		if lists[next] = lists[next][1:]; len(lists[next]) == 0 {
			lists = slices.Delete(lists, next, next+1)
		}
	}
	return all
}

// rangeOf returns the range of a list that arguments name.
func rangeOf(args map[string]any, all, missing []any) any {
	first, ok := args["first"].(int)
	if !ok {
		first = 20
	}
	offset, _ := args["offset"].(int)
	if after, resumed := args["after"].(string); resumed {
		offset = positionAt(after) + 1
	}
	nodes := all[min(offset, len(all)):min(offset+first, len(all))]
	edges := make([]any, len(nodes))
	for i := range nodes {
		edges[i] = consoleObject{fields: map[string]any{"cursor": cursor(offset + i), "node": nodes[i]}}
	}
	info := map[string]any{"hasnextpage": offset+len(nodes) < len(all), "haspreviouspage": offset > 0 && len(all) > 0}
	if len(nodes) > 0 {
		info["startcursor"], info["endcursor"] = cursor(offset), cursor(offset+len(nodes)-1)
	}
	return consoleObject{fields: map[string]any{
		"edges": edges, "nodes": nodes, "pageinfo": consoleObject{fields: info}, "totalcount": json.Number(strconv.Itoa(len(all))),
		"unavailable": missing,
	}}
}
