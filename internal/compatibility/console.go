package compatibility

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/textfile"
)

// Console is a console to check.
type Console struct {
	// URL is the base URL of the API gateway.
	URL string
	// Token is an access token. Without one, only what needs none is checked.
	Token string
	// Scope is the company and department to check; empty ones are chosen.
	Scope scope.Scope
	// IDs is the setting CONSOLEQL_CONSOLE_IDS.
	IDs string
	// Client sends requests.
	Client *http.Client
	// Cause describes an error of a connection without secrets.
	Cause func(error) string
}

// list is a list of the console.
type list struct {
	operation string
	entity    reflect.Type // of consoleclient
	member    string       // of the answer, which holds the entities
	ids       bool         // whether deployments take the parameter Ids
}

// Bounds of requests and answers.
const (
	checkPageSize  = 500
	maxCheckAnswer = 64 << 20
)

// Console checks what a console sends. Each difference from its document is a finding.
func (r *Report) Console(ctx context.Context, c Console) {
	if !r.unauthenticated(ctx, c) {
		return // further calls would tell the same
	}
	if c.Token == "" {
		r.Warn("console", "there is no token of a service account, so that its lists are not checked")
		return
	}
	if !r.companies(ctx, &c) || !r.departments(ctx, &c) {
		return
	}
	for _, l := range cachedconsole.Lists() {
		r.list(ctx, c, list{l.Operation, l.Entity, "list", l.TakesIDs})
	}
}

// unauthenticated checks the refusal of an invalid token, and the clock. It returns false if the console cannot be
// reached.
func (r *Report) unauthenticated(ctx context.Context, c Console) bool {
	const part = "console"
	invalid := c
	invalid.Token = "invalid"
	a, err := invalid.get(ctx, consoleclient.OpCompanies, nil)
	if err != nil {
		r.Fail(part, "it cannot be reached: %s", c.Cause(err))
		return false
	}
	form := "without a body"
	switch {
	case a.problem():
		form = "with a problem (RFC 7807)"
	case len(a.body) > 0:
		form = fmt.Sprintf("with a body of the type %q", a.header.Get("Content-Type"))
	}
	if a.header.Get("Www-Authenticate") != "" {
		form += " and a challenge"
	}
	switch a.status {
	case http.StatusUnauthorized:
		r.OK(part, "it refuses an invalid token with 401, %s", form)
	case http.StatusOK:
		r.Fail(part, "it answers 200 to an invalid token: this is not the console's API, or it checks no tokens")
		return false
	default:
		r.Fail(part, "it answers %d to an invalid token, want 401: see --console-url", a.status)
		return false
	}
	r.clock(part, a)
	return true
}

const (
	warnClock = 5 * time.Second
	failClock = 2 * time.Minute
)

// clock compares the console's clock with this one.
func (r *Report) clock(part string, a *answer) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		r.Warn(part, "its answers have no date: its clock is not known")
		return
	}
	difference := time.Since(date).Abs().Truncate(time.Second)
	switch {
	case difference >= failClock:
		r.Fail(part, "its clock differs by %v: tokens seem expired or not yet valid", difference)
	case difference >= warnClock:
		r.Warn(part, "its clock differs by %v", difference)
	default:
		r.OK(part, "its clock differs by less than %v", warnClock)
	}
}

// companies checks the list of companies, and chooses one if the settings name none.
func (r *Report) companies(ctx context.Context, c *Console) bool {
	entities := r.entities(ctx, *c, list{consoleclient.OpCompanies, reflect.TypeFor[consoleclient.Company](), "companies", false}, nil)
	if entities == nil {
		return false
	}
	var ids []string
	for _, e := range entities.list {
		ids = append(ids, scope.Canonical(text(e["id"])))
	}
	switch {
	case c.Scope.CompanyID == "" && len(ids) == 0:
		r.Fail("--company-id", "the service account belongs to no company")
		return false
	case c.Scope.CompanyID == "":
		c.Scope.CompanyID = ids[0]
		r.Warn("--company-id", "it is not set: requests must name a company; the first of %d is checked", len(ids))
	case !slices.ContainsFunc(ids, func(id string) bool { return scope.Same(id, c.Scope.CompanyID) }):
		r.Fail("--company-id", "the service account does not belong to this company")
		return false
	}
	return true
}

// departments checks the tree of departments, and chooses one if the settings name none.
func (r *Report) departments(ctx context.Context, c *Console) bool {
	const part = consoleclient.OpDepartmentTree
	inCompany := *c
	inCompany.Scope.DepartmentID = ""
	a, err := inCompany.get(ctx, part, nil)
	if !r.answered(part, *c, a, err) {
		return false
	}
	var tree map[string]any
	if err := json.Unmarshal(a.body, &tree); err != nil {
		r.Fail(part, "its answer is no JSON object")
		return false
	}
	root, _ := lowered(tree)["rootdepartment"].(map[string]any)
	var ids []string
	collectIDs(lowered(root), &ids)
	switch {
	case len(ids) == 0:
		r.Fail(part, "it answers no department")
		return false
	case c.Scope.DepartmentID == "":
		c.Scope.DepartmentID = scope.Canonical(ids[0])
		r.Warn("--department-id", "it is not set: requests must name a department; the root is checked")
	case !slices.ContainsFunc(ids, func(id string) bool { return scope.Same(id, c.Scope.DepartmentID) }):
		r.Fail("--department-id", "the company has no such department")
		return false
	}
	r.OK(part, "%d departments", len(ids))
	return true
}

func collectIDs(department map[string]any, ids *[]string) {
	if id := text(department["id"]); id != "" {
		*ids = append(*ids, id)
	}
	children, _ := department["children"].([]any)
	for _, child := range children {
		if of, ok := child.(map[string]any); ok {
			collectIDs(lowered(of), ids)
		}
	}
}

// answer is a response of the console.
type answer struct {
	status int
	header http.Header
	body   []byte // without a byte order mark
}

// problem reports whether the answer is a problem of RFC 7807.
func (a *answer) problem() bool {
	var p struct{ Title string }
	return json.Unmarshal(a.body, &p) == nil && p.Title != ""
}

// get sends the operation, which is a GET.
func (c Console) get(ctx context.Context, operation string, query url.Values) (*answer, error) {
	_, path, _ := strings.Cut(operation, " ")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, errors.New("its URL is wrong") // the error repeats the URL, which may hold a password
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	for name, value := range map[string]string{"CompanyId": c.Scope.CompanyID, "DepartmentId": c.Scope.DepartmentID} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := c.Client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the URL may hold a password
		}
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCheckAnswer))
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, bytes.TrimPrefix(body, []byte(textfile.ByteOrderMark))}, nil
}

// answered reports whether there is an answer with status 200, and adds a failure otherwise.
func (r *Report) answered(part string, c Console, a *answer, err error) bool {
	switch {
	case err != nil:
		r.Fail(part, "it gets no answer: %s", c.Cause(err))
	case a.status == http.StatusForbidden:
		r.Fail(part, "the service account may not read it in this scope (403)")
	case a.status == http.StatusUnauthorized:
		r.Fail(part, "it refuses a fresh token (401): are --console-url and --sso-url of one installation?")
	case a.status != http.StatusOK:
		r.Fail(part, "it answers %d", a.status)
	default:
		return true
	}
	return false
}
