package oracle

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// departmentScope is a department of a list or count over several; without object it is the only one.
type departmentScope struct {
	at     requestScope
	object *consoleObject
	err    error // why it is not asked
}

func departmentScopeOf(d consoleObject) departmentScope { return departmentScope{at: d.in, object: &d} }

// mayAsk reports whether the user has a role or permission in a department.
func mayAsk(d consoleObject) bool {
	return d.fields["visitorhasanyrole"] == true || d.fields["visitorhaspermission"] == true
}

// visible returns those of the departments that the user may ask.
func visible(departments []any) []departmentScope {
	var scopes []departmentScope
	for _, v := range departments {
		if d := v.(consoleObject); mayAsk(d) {
			scopes = append(scopes, departmentScopeOf(d))
		}
	}
	return scopes
}

// departmentsOf returns the departments of a company that only names; nil: those that the user may ask.
func (ex *execution) departmentsOf(company string, only any) ([]departmentScope, error) {
	tree, err := ex.departments(ex.user, company)
	if err != nil {
		return nil, err
	}
	if only == nil {
		return visible(tree), nil
	}
	var scopes []departmentScope
	var named []string
	for _, id := range textsOf(only) {
		id = strings.ToLower(id)
		if slices.Contains(named, id) {
			continue
		}
		named = append(named, id)
		i := slices.IndexFunc(tree, func(d any) bool { return strings.EqualFold(d.(consoleObject).text("id"), id) })
		if i < 0 {
			p := departmentScopeOf(entityOf(map[string]any{"id": id, "companyid": strings.ToLower(company)}, requestScope{strings.ToLower(company), id}))
			p.err = refusal("NOT_FOUND")
			scopes = append(scopes, p)
			continue
		}
		p := departmentScopeOf(tree[i].(consoleObject))
		if !mayAsk(*p.object) {
			p.err = refusal("FORBIDDEN")
		}
		scopes = append(scopes, p)
	}
	return scopes, nil
}

// below returns a department and those below it that the user may ask.
func (ex *execution) below(d consoleObject) []departmentScope {
	scopes := visible([]any{d})
	children, _ := d.fields["children"].([]any)
	for _, child := range children {
		scopes = append(scopes, ex.below(entityOf(child.(map[string]any), d.in))...)
	}
	return scopes
}

// readDepartments reads a list of each department, and names those that cannot be read.
func (ex *execution) readDepartments(scopes []departmentScope, read func(requestScope) ([]any, error)) (lists [][]any, missing []any, err error) {
	for _, p := range scopes {
		var list []any
		err := p.err
		if err == nil {
			list, err = read(p.at)
		}
		var code refusal
		switch {
		case err == nil:
			lists = append(lists, list)
		case p.object == nil || !errors.As(err, &code):
			return nil, nil, err
		default:
			missing = append(missing, consoleObject{fields: map[string]any{"department": *p.object, "code": string(code)}})
		}
	}
	return lists, missing, nil
}

// anyTime is a time that depends on the machine.
type anyTime struct{}

// counts returns the value of a field such as `robotCounts`. It walks each list, and the lists that facts of its entities
// depend on.
func (ex *execution) counts(field string, scopes []departmentScope, query url.Values) (any, error) {
	path := strings.TrimSuffix(field, "Counts") + "s"
	facts := 0
	lists, missing, err := ex.readDepartments(scopes, func(at requestScope) ([]any, error) {
		list, err := ex.list(ex.user, at, path, query)
		for _, v := range list {
			if err != nil || path == "robots" {
				break
			}
			var is bool
			if is, err = ex.predicate(v.(consoleObject), path); is {
				facts++
			}
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	all := slices.Concat(lists...)
	n := json.Number(strconv.Itoa(facts))
	counts := map[string]any{
		"total": json.Number(strconv.Itoa(len(all))), "precision": json.Number("0"), "unavailable": missing, "asof": ex.now.UTC().Format(time.RFC3339),
		"outdated": n, "unused": n, "empty": n, "robots": all,
	}
	if len(lists) == 0 {
		counts["asof"] = anyTime{} // nothing was asked
	}
	var rows []any
	for i, status := range ex.schema.Types["RobotStatus"].EnumValues {
		has := 0
		for _, v := range all {
			if path == "robots" && ex.status(v.(consoleObject)) == status.Name {
				has++
			}
		}
		rows = append(rows, consoleObject{fields: map[string]any{"status": json.Number(strconv.Itoa(i)), "count": json.Number(strconv.Itoa(has))}})
	}
	counts["bystatus"] = rows
	return consoleObject{fields: counts}, nil
}

// status returns a robot's status in the schema.
func (ex *execution) status(robot consoleObject) string {
	v := robot.fields["status"]
	if v == nil {
		return "UNKNOWN"
	}
	return leaf(ex.schema.Types["RobotStatus"], v).(string)
}

// silent counts the robots whose last heartbeat is older than a number of seconds, or that never had one.
func (ex *execution) silent(robots []any, seconds int) json.Number {
	n := 0
	for _, v := range robots {
		beat := v.(consoleObject).text("lastHeartbeatTime")
		if beat == "" || parseTime(beat).Before(ex.now.Add(-time.Duration(seconds)*time.Second)) {
			n++
		}
	}
	return json.Number(strconv.Itoa(n))
}
