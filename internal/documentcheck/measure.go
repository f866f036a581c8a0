package documentcheck

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// settings returns the settings of a gateway in front of sim, without caches. Everything else has
// its default.
func settings(sim *consolesim.Server) (*gateway.Settings, error) {
	s, err := gateway.DefaultSettings()
	if err != nil {
		return nil, err
	}
	username, password := sim.DefaultUser()
	s.Listen, s.AdminListen, s.GraphiQL = "127.0.0.1:0", "", "off"
	s.ConsoleURL, s.SSOURL, s.ConsoleIDs, s.Cache = sim.APIURL(), sim.SSOURL(), "on", "off"
	s.Account = gateway.Account{Username: username, Password: password, Anonymous: true}
	s.CompanyID, s.DepartmentID = sim.Data().MainCompanyID(), sim.Data().MainDepartmentID()
	s.AccessLog, s.AuditLog = "off", "off"
	return s, nil
}

// measure runs an operation in a gateway of its own, which has learned nothing from others.
func measure(ctx context.Context, sim *consolesim.Server, j job) (_ Result, err error) {
	s, err := settings(sim)
	if err != nil {
		return Result{}, err
	}
	g, err := gateway.New(ctx, s, slog.New(slog.DiscardHandler), gateway.Page{})
	if err != nil {
		return Result{}, fmt.Errorf("start the gateway: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(running) }()
	transport := &http.Transport{}
	defer func() {
		transport.CloseIdleConnections()
		stop()
		err = errors.Join(err, <-ended)
	}()
	c := client{http: &http.Client{Transport: transport}, url: g.URL() + "/graphql", job: j}
	r := Result{File: j.entry.File, ID: j.entry.ID, Name: j.operation.Name, Type: string(j.operation.Operation)}
	plan, err := c.send(ctx, "plan")
	if err != nil {
		return Result{}, err
	}
	if r.Error = plan.problem(); r.Error != "" {
		return r, nil
	}
	planned := plan.Extensions.ConsoleQL.Plan
	if j.onlyPlanned() {
		if r.Error = planned.Refused; r.Error == "" {
			r.Depth, r.Rounds, r.Calls, r.OrMore, r.Planned = planned.Depth, planned.Rounds, planned.ConsoleCalls, planned.OrMore, true
		}
		return r, nil
	}
	run, err := c.send(ctx, "1")
	if err != nil {
		return Result{}, err
	}
	if r.Error = run.problem(); r.Error != "" {
		return r, nil
	}
	r.Depth, r.Calls, r.Bytes, r.Values = planned.Depth, run.Extensions.ConsoleQL.ConsoleCalls, len(run.Data), values(run.Data)
	r.Rounds = min(planned.Rounds, r.Calls) // a plan expects calls that the console's answers may spare
	return r, nil
}

// client sends one operation to a gateway.
type client struct {
	http *http.Client
	url  string
	job  job
}

// response is an answer with its trace or plan.
type response struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct{ Code string }
	}
	Extensions struct {
		ConsoleQL struct {
			ConsoleCalls int
			Plan         struct {
				Depth, Rounds, ConsoleCalls int
				OrMore                      bool
				Refused                     string
			}
		}
	}
}

// problem describes the first error; empty: there is none.
func (r response) problem() string {
	switch len(r.Errors) {
	case 0:
		return ""
	case 1:
		return r.Errors[0].Extensions.Code + ": " + r.Errors[0].Message
	default:
		return fmt.Sprintf("%d errors, the first is %s: %s", len(r.Errors), r.Errors[0].Extensions.Code, r.Errors[0].Message)
	}
}

// send sends the operation with the header of a trace.
func (c client) send(ctx context.Context, trace string) (response, error) {
	body, contentType, err := c.job.body()
	if err != nil {
		return response{}, fmt.Errorf("the request of %s: %w", c.job.operation.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-ConsoleQL-Trace", trace)
	if c.job.operation.Operation == ast.Subscription {
		req.Header.Set("Accept", "text/event-stream")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	answer, err := readAnswer(resp)
	if err != nil {
		return response{}, fmt.Errorf("the answer of %s: %w", c.job.operation.Name, err)
	}
	var r response
	if err := json.Unmarshal(answer, &r); err != nil {
		return response{}, fmt.Errorf("the answer of %s: %w", c.job.operation.Name, err)
	}
	return r, nil
}

// body returns the body of a request: JSON, or a form with empty files.
func (j job) body() (body []byte, contentType string, err error) {
	body, err = json.Marshal(map[string]any{"query": j.entry.Text, "operationName": j.operation.Name, "variables": j.variables})
	if err != nil || len(j.files) == 0 {
		return body, "application/json", err
	}
	paths := make(map[string][]string)
	for i, path := range j.files {
		paths[strconv.Itoa(i)] = []string{"variables." + path}
	}
	assigned, err := json.Marshal(paths)
	if err != nil {
		return nil, "", err
	}
	var text bytes.Buffer // takes all that is written
	form := multipart.NewWriter(&text)
	err = errors.Join(form.WriteField("operations", string(body)), form.WriteField("map", string(assigned)))
	for i := range j.files {
		_, failed := form.CreateFormFile(strconv.Itoa(i), "file")
		err = errors.Join(err, failed)
	}
	return text.Bytes(), form.FormDataContentType(), errors.Join(err, form.Close())
}

// readAnswer returns the JSON of an answer, or of the first event of a stream.
func readAnswer(resp *http.Response) ([]byte, error) {
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return io.ReadAll(resp.Body)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// values counts the objects, lists and scalars of valid JSON.
func values(data []byte) int {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	n := 0
	for {
		kind, length := dec.StackIndex(dec.StackDepth())
		isName := kind == '{' && length%2 == 0
		token, err := dec.ReadToken()
		if err != nil {
			return n
		}
		if end := token.Kind() == '}' || token.Kind() == ']'; !end && !isName {
			n++
		}
	}
}
