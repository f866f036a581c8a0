package oracle

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// oracle computes the gateway's expected answers. It requests one entity or page at a time,
// and everything again after a change. It shares no code with the gateway.
type oracle struct {
	t       testing.TB
	sim     *consolesim.Server
	schema  *ast.Schema
	http    *http.Client
	tokens  map[string]string   // by user
	answers map[string]response // since the console last changed
}

// response is the console's response to a GET.
type response struct {
	body map[string]any
	err  error
}

// requestScope is the scope of a console call.
type requestScope struct{ company, department string }

// refusal is the error code of a field.
type refusal string

// Error is the code.
func (r refusal) Error() string { return string(r) }

// consoleObject is an object of the console with lower-case keys, and the scope for its
// relations.
type consoleObject struct {
	fields map[string]any
	in     requestScope
	typ    string // of a node
}

func (o consoleObject) text(field string) string {
	s, _ := o.fields[strings.ToLower(field)].(string)
	return s
}

// entityOf returns an object in its own scope or, without one, in the request's.
func entityOf(fields map[string]any, from requestScope) consoleObject {
	e := consoleObject{fields: fields, in: from}
	if company := e.text("companyid"); company != "" {
		e.in.company = company
	}
	if department := e.text("departmentid"); department != "" {
		e.in.department = department
	}
	return e
}

func entitiesOf(list []any, from requestScope) []any {
	all := make([]any, len(list))
	for i, v := range list {
		all[i] = entityOf(v.(map[string]any), from)
	}
	return all
}

// forget is called after every change of the console.
func (o *oracle) forget() { clear(o.answers) }

// Get sends one request to the console as a user.
func (o *oracle) Get(user string, at requestScope, path string, query url.Values) (map[string]any, error) {
	target := path + "?" + query.Encode()
	key := fmt.Sprint(user, at, target)
	if known, ok := o.answers[key]; ok {
		return known.body, known.err
	}
	body, err := o.Ask(user, at, target)
	o.answers[key] = response{body, err}
	return body, err
}

func (o *oracle) Ask(user string, at requestScope, target string) (map[string]any, error) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.sim.APIURL()+"/openapi/"+target, http.NoBody)
	if err != nil {
		o.t.Fatal(err)
	}
	if o.tokens[user] == "" {
		o.tokens[user] = o.sim.Token(user)
	}
	req.Header.Set("Authorization", "Bearer "+o.tokens[user])
	req.Header.Set("CompanyId", at.company)
	req.Header.Set("DepartmentId", at.department)
	resp, err := o.http.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest:
		return nil, refusal("BAD_USER_INPUT")
	case http.StatusForbidden:
		return nil, refusal("FORBIDDEN")
	case http.StatusNotFound:
		return nil, refusal("NOT_FOUND")
	default:
		o.t.Fatalf("%s: status %d: %s", target, resp.StatusCode, text)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var body map[string]any
	if err := dec.Decode(&body); err != nil {
		o.t.Fatalf("%s: %v", target, err)
	}
	return lowered(body).(map[string]any), nil
}

// lowered converts keys to lower case, except those that are data.
func lowered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			key = strings.ToLower(key)
			if key != "properties" {
				value = lowered(value)
			}
			out[key] = value
		}
		return out
	case []any:
		for i := range v {
			v[i] = lowered(v[i])
		}
	}
	return v
}

// list reads a list to its end.
func (o *oracle) list(user string, at requestScope, path string, query url.Values) ([]any, error) {
	all := []any{}
	for index := 0; ; index++ {
		page := maps.Clone(query)
		page.Set("PageIndex", strconv.Itoa(index))
		page.Set("PageSize", "500")
		body, err := o.Get(user, at, path, page)
		if err != nil {
			return nil, err
		}
		list, _ := body["list"].([]any)
		all = append(all, entitiesOf(list, at)...)
		if count, _ := body["count"].(json.Number).Int64(); len(list) == 0 || len(all) >= int(count) {
			return all, nil
		}
	}
}

// one returns an entity, which may be wrapped in a list.
func (o *oracle) one(user string, at requestScope, path, id string) (any, error) {
	body, err := o.Get(user, at, path+"/"+strings.ToLower(id), url.Values{})
	if err != nil {
		return nil, err
	}
	if list, ok := body["list"].([]any); ok {
		body = list[0].(map[string]any)
	}
	return entityOf(body, at), nil
}

// optional returns an entity that may be missing.
func (o *oracle) optional(user string, at requestScope, path, id string) (any, error) {
	if id == "" {
		return nil, nil
	}
	return o.one(user, at, path, id)
}

// companies returns a user's companies.
func (o *oracle) companies(user, name string) ([]any, error) {
	query := url.Values{}
	if name != "" {
		query.Set("Name", name)
	}
	body, err := o.Get(user, requestScope{}, "companies/companylist", query)
	if err != nil {
		return nil, err
	}
	return entitiesOf(body["companies"].([]any), requestScope{}), nil
}

func (o *oracle) company(user, id string) (any, error) {
	all, err := o.companies(user, "")
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if strings.EqualFold(c.(consoleObject).text("id"), id) {
			return c, nil
		}
	}
	return nil, refusal("NOT_FOUND")
}

// viewer returns a user in a company.
func (o *oracle) viewer(user, company string) (any, error) {
	body, err := o.Get(user, requestScope{company: company}, "companyusers/self", url.Values{})
	if err != nil {
		return nil, err
	}
	return entityOf(body, requestScope{company: company}), nil
}

// departments returns a company's departments, parents before children.
func (o *oracle) departments(user, company string) ([]any, error) {
	body, err := o.Get(user, requestScope{company: company}, "departments/tree", url.Values{})
	if err != nil {
		return nil, err
	}
	all := []any{}
	var add func(map[string]any)
	add = func(d map[string]any) {
		all = append(all, entityOf(d, requestScope{company: company}))
		for _, child := range d["children"].([]any) {
			add(child.(map[string]any))
		}
	}
	add(body["rootdepartment"].(map[string]any))
	return all, nil
}

// department returns one of the company's departments; none for "".
func (o *oracle) department(user, company, id string) (any, error) {
	if id == "" {
		return nil, nil
	}
	all, err := o.departments(user, company)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if strings.EqualFold(d.(consoleObject).text("id"), id) {
			return d, nil
		}
	}
	return nil, refusal("NOT_FOUND")
}

// version returns one of a package's versions; none for "".
func (o *oracle) version(user string, at requestScope, packageID, id string) (any, error) {
	if packageID == "" || id == "" {
		return nil, nil
	}
	p, err := o.one(user, at, "packages", packageID)
	if err != nil {
		return nil, err
	}
	for _, v := range entitiesOf(p.(consoleObject).fields["versions"].([]any), at) {
		if strings.EqualFold(v.(consoleObject).text("id"), id) {
			return v, nil
		}
	}
	return nil, refusal("NOT_FOUND")
}
