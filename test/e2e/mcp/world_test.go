package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// documents are the trusted documents of the tests by name, and described those with a description beside the manifest.
var documents = map[string]string{
	"ListRobots": `query ListRobots($first: Int = 3, $after: String, $status: [RobotStatus!]) {
		robots(first: $first, after: $after, filter: {status: $status}) { totalCount nodes { id name status } pageInfo { hasNextPage endCursor } } }`,
	"Viewer":       `"Tells who the caller is." query Viewer { viewer { userName } }`,
	"AllWorkflows": `query AllWorkflows { workflows(first: 500) { nodes { id name description tags packageName queue { name } package { name } } } }`,
	"Costly":       `query Costly { companies { departments { id workflows(first: 1) { totalCount } robots(first: 1) { totalCount } } } }`,
	"Secret":       `query Secret { queues { totalCount } }`, // has no description
	"Watch":        `subscription Watch { robotChanged { id } }`,
	"RunWorkflow":  `mutation RunWorkflow($input: ExecuteWorkflowInput!) { executeWorkflow(input: $input) { jobs { id } } }`,
	"DeleteQueue":  `mutation DeleteQueue($id: ID!) { deleteQueue(input: {id: $id}) { deletedId } }`,
}

var described = map[string]string{
	"ListRobots": "Lists robots. Ask for the next page with after.", "AllWorkflows": "All workflows.", "Costly": "Counts everything.",
	"Watch": "Watches robots.", "RunWorkflow": "Starts a workflow.", "DeleteQueue": "Deletes a queue.",
}

// write writes a file of JSON.
func write(t testing.TB, path string, content any) {
	t.Helper()
	if err := os.WriteFile(path, e2e.Encode(t, content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fixture is a gateway with the endpoint, and the headers of its callers.
type fixture struct {
	*e2e.World
	folder string                       // of the manifest
	keys   map[string]map[string]string // headers by name of the key
}

// newFixture starts a console and a gateway with the documents.
func newFixture(t testing.TB, o consolesim.Options, adjust ...func(*gateway.Settings, *consolesim.Server)) *fixture {
	t.Helper()
	f := &fixture{folder: t.TempDir(), keys: make(map[string]map[string]string)}
	write(t, filepath.Join(f.folder, "tools.json"), documents)
	write(t, filepath.Join(f.folder, "tools.descriptions.json"), described)
	set := func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		k.Account("solo", sim.Data().SoloUser())
		for name, limits := range map[string]string{
			"all": "", "queries": ", operations: [query]", "robots": ", fields: [robots], types: [Robot]", "untyped": ", types: [Queue]",
		} {
			f.keys[name] = k.Key(name, "owner", limits)
		}
		f.keys["solo"] = e2e.MergeHeaders(k.Key("solo", "solo", ""), e2e.ScopeHeader(sim.Data().SoloUser().CompanyIDs[0], ""))
		s.APIKeysFile, s.TrustedDocuments, s.MCP, s.MCPMutations = k.Write(), f.folder, "on", []string{"RunWorkflow"}
	}
	f.World = e2e.NewWorld(t, o, append([]func(*gateway.Settings, *consolesim.Server){e2e.WithoutAnonymous, set}, adjust...)...)
	return f
}

// withHeader adds headers to each request.
type withHeader struct {
	header map[string]string
	client *http.Client
}

// RoundTrip sends a request.
func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h.header {
		r.Header.Set(name, value)
	}
	return h.client.Transport.RoundTrip(r)
}

// connect connects a client of the SDK.
func (f *fixture) connect(t testing.TB, header map[string]string) (*mcp.ClientSession, error) {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: f.URL + "/mcp", HTTPClient: &http.Client{Transport: withHeader{header, f.Client}}, MaxRetries: -1,
	}, nil)
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

// agent connects a client with an API key.
func (f *fixture) agent(t testing.TB, key string) *mcp.ClientSession {
	t.Helper()
	session, err := f.connect(t, f.keys[key])
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// names returns the names of the listed tools.
func names(t testing.TB, session *mcp.ClientSession) (all []string) {
	t.Helper()
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range listed.Tools {
		all = append(all, tool.Name)
	}
	return all
}

// answer is what a tool has answered.
type answer struct {
	e2e.Answer
	isError    bool
	texts      []string
	structured bool
	bytes      int // of the result as JSON
}

// call calls a tool.
func call(t testing.TB, session *mcp.ClientSession, name string, arguments any) answer {
	t.Helper()
	result, err := session.CallTool(context.WithoutCancel(t.Context()), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return read(t, result)
}

// read reads a result. Its text and its structured content must agree.
func read(t testing.TB, result *mcp.CallToolResult) answer {
	t.Helper()
	a := answer{isError: result.IsError, structured: result.StructuredContent != nil, bytes: len(e2e.Encode(t, result))}
	for _, content := range result.Content {
		text, ok := content.(*mcp.TextContent)
		if !ok {
			t.Fatalf("content %T", content)
		}
		a.texts = append(a.texts, text.Text)
	}
	last := []byte(a.texts[len(a.texts)-1])
	if err := json.Unmarshal(last, &a.Answer); err == nil && a.structured {
		if one, two := e2e.Decode[any](t, last), e2e.Decode[any](t, e2e.Encode(t, result.StructuredContent)); fmt.Sprint(one) != fmt.Sprint(two) {
			t.Errorf("text %v\nstructured %v", one, two)
		}
	}
	a.Body = last
	return a
}

// response is a response of HTTP.
type response struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request as no client does.
func (f *fixture) send(method, body string, header map[string]string) response {
	f.T.Helper()
	req, err := http.NewRequestWithContext(f.T.Context(), method, f.URL+"/mcp", strings.NewReader(body))
	if err != nil {
		f.T.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	req.Host = header["Host"]
	resp, err := f.Client.Do(req)
	if err != nil {
		f.T.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.T.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, text}
}

// post sends a message with the headers of a client, and others.
func (f *fixture) post(key, body string, header map[string]string) response {
	f.T.Helper()
	return f.send(http.MethodPost, body, e2e.MergeHeaders(map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}, f.keys[key], header))
}
