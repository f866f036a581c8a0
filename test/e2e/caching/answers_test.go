package caching

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCacheKeysAreDistinct verifies that requests share an answer only if they are equal in
// everything that the answer depends on.
func TestCacheKeysAreDistinct(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	data := w.Sim.Data()
	ids := data.WorkflowIDs(data.MainDepartmentID())
	document := `query A($id: ID!, $skip: Boolean = false) { workflow(id: $id) { id name @skip(if: $skip) } } query B($id: ID!) { workflow(id: $id) { priority id } }`
	request := func(operation, variables string) string {
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"query": %s, "operationName": %q, "variables": %s}`, text, operation, variables)
	}
	bodies := []string{
		request("A", fmt.Sprintf(`{"id": %q}`, ids[0])),
		request("A", fmt.Sprintf(`{"id": %q}`, ids[1])),
		request("A", fmt.Sprintf(`{"id": %q, "skip": true}`, ids[0])),
		request("B", fmt.Sprintf(`{"id": %q}`, ids[0])),
	}
	first := make([]string, len(bodies))
	for range 3 {
		seen := make(map[string]int)
		for i, body := range bodies {
			_, answer := postText(w, body)
			if other, ok := seen[string(answer)]; ok || strings.Contains(string(answer), "errors") {
				t.Errorf("requests %d and %d: %s", other, i, answer)
			}
			seen[string(answer)] = i
			if first[i] == "" {
				first[i] = string(answer)
			}
			if first[i] != string(answer) {
				t.Errorf("request %d: %s, then %s", i, first[i], answer)
			}
		}
	}
	// Member names are case-sensitive, and a repeated member is refused. Otherwise such a
	// request could store its answer under another request's key.
	query, other := fmt.Sprintf(`{ workflow(id: \"%s\") { id } }`, ids[0]), fmt.Sprintf(`{ workflow(id: \"%s\") { id } }`, ids[1])
	for body, want := range map[string]string{
		fmt.Sprintf(`{"query": "%s", "Query": "%s"}`, query, other): ids[0],
		fmt.Sprintf(`{"query": "%s", "query": "%s"}`, query, other): "query: is there more than once",
		fmt.Sprintf(`{"query": "%s", "QUERY": "%s"}`, query, other): ids[0],
	} {
		for range 2 {
			if _, answer := postText(w, body); !strings.Contains(string(answer), want) {
				t.Errorf("%s: %s", body, answer)
			}
		}
		if _, answer := postText(w, fmt.Sprintf(`{"query": "%s"}`, query)); !strings.Contains(string(answer), ids[0]) {
			t.Errorf("after %s: %s", body, answer)
		}
	}
}

// TestAnswersBelongToScope sends the same body in different scopes, also where the gateway
// finds the department itself.
func TestAnswersBelongToScope(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	data := w.Sim.Data()
	owner, main, others := data.Users()[0], data.Companies()[0], data.Companies()[1:]
	for range 3 { // executed, recognised as a query, cached
		for _, d := range data.Departments(main.ID) {
			w.CheckWorkflowsOf(main.ID, d.ID, e2e.Request{Header: e2e.ScopeHeader(main.ID, d.ID)})
		}
		for _, c := range others {
			w.CheckWorkflowsOf(c.ID, owner.Assigned[c.ID], e2e.Request{Header: e2e.ScopeHeader(c.ID, "")})
		}
	}
}

// TestAnswersMatchAcceptHeader verifies that a cached answer is used only for the accepted media
// type.
func TestAnswersMatchAcceptHeader(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	body := fmt.Sprintf(`{"query": %s}`, e2e.Encode(t, e2e.ListQuery))
	for range 3 {
		for _, form := range []string{"application/json", "application/graphql-response+json"} {
			resp, answered := postText(w, body, map[string]string{"Accept": form})
			if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, form) || strings.Contains(string(answered), "errors") {
				t.Errorf("accepts %s, is given %s: %.200s", form, got, answered)
			}
		}
	}
}

// TestCachedAnswerObeysKeyPolicy uses two API keys of one account. One may read the answer,
// cached or not, and the other is refused.
func TestCachedAnswerObeysKeyPolicy(t *testing.T) {
	t.Parallel()
	var plain, limited map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		plain, limited = k.Key("plain", "owner", ""), k.Key("limited", "owner", ", fields: [robots]")
		s.APIKeysFile = k.Write()
	})
	for range 3 {
		if a := w.Ask(e2e.ListQuery, e2e.Request{Header: plain}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
		if e := w.ExpectRefusal(e2e.ListQuery, e2e.Request{Header: limited}); e.Extensions.Code != "FORBIDDEN" {
			t.Errorf("%+v", e)
		}
	}
	if n := w.CallsOf(func() { w.Ask(e2e.ListQuery, e2e.Request{Header: plain}) }); len(n) > 0 {
		t.Errorf("nothing is kept, so that this test shows nothing: %v", n)
	}
}

// TestPersistedQueriesHit verifies that a document and its hash share an answer.
func TestPersistedQueriesHit(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	sum := sha256.Sum256([]byte(e2e.ListQuery))
	named := fmt.Sprintf(`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}}`, hex.EncodeToString(sum[:]))
	text, err := json.Marshal(e2e.ListQuery)
	if err != nil {
		t.Fatal(err)
	}
	if _, answer := postText(w, named); !strings.Contains(string(answer), "PERSISTED_QUERY_NOT_FOUND") {
		t.Fatalf("%s", answer)
	}
	_, got := postText(w, strings.Replace(named, "{", fmt.Sprintf(`{"query": %s, `, text), 1))
	var answer []byte
	if n := w.CallsOf(func() { _, answer = postText(w, named) }); len(n) > 0 || string(answer) != string(got) {
		t.Errorf("%v calls for %s", n, answer)
	}
	wrong := sha256.Sum256([]byte("another"))
	_, answer = postText(w, fmt.Sprintf(`{"query": %s, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}}`, text, hex.EncodeToString(wrong[:])))
	if !strings.Contains(string(answer), "errors") {
		t.Errorf("a hash of another document: %s", answer)
	}
}

// TestCacheHitRegistersPersistedQuery verifies that a request with document and hash
// registers the hash, also if the answer is cached.
func TestCacheHitRegistersPersistedQuery(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	const query = `query($n: Int = 3) { workflows(first: $n) { nodes { name } } }`
	sum := sha256.Sum256([]byte(query))
	text, extensions := string(e2e.Encode(t, query)), fmt.Sprintf(`"extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}`, hex.EncodeToString(sum[:]))
	postText(w, fmt.Sprintf(`{"query": %s}`, text))
	resp, _ := postText(w, fmt.Sprintf(`{"query": %s, %s}`, text, extensions))
	if resp.Header.Get("Age") == "" {
		t.Fatal("the answer was not kept")
	}
	if _, answer := postText(w, fmt.Sprintf(`{"variables": {"n": 2}, %s}`, extensions)); strings.Contains(string(answer), "errors") {
		t.Errorf("%s", answer)
	}
}

// TestMutationsAreNeverShared verifies that identical concurrent mutations are all executed.
func TestMutationsAreNeverShared(t *testing.T) {
	t.Parallel()
	const many = 100
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	query := fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id)
	n := w.CallsOf(func() {
		var all sync.WaitGroup
		for range many {
			all.Go(func() {
				if a := w.Ask(query, e2e.Request{}); len(a.Errors) > 0 {
					t.Errorf("%s", a.Body)
				}
			})
		}
		all.Wait()
	})
	if n["POST /openapi/workflows/{workflowId}/execute"] != many {
		t.Errorf("%v", n)
	}
}

// TestClientDisconnects verifies that other clients still get the shared answer.
func TestClientDisconnects(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	w.Query(e2e.ListQuery, nil) // the document is recognised as a query
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	renew := func() {
		w.Query(fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: 3}) { workflow { id } } }`, id), nil)
		w.Sim.ResetCounts()
	}
	hold := func() (release func(), waiting func() bool) {
		held, arrived := make(chan struct{}), make(chan struct{}, 100)
		heal := w.Sim.Fail(func(r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/openapi/workflows") && r.Method == http.MethodGet {
				arrived <- struct{}{}
				<-held
			}
			return false
		}, consolesim.Fault{})
		return func() { close(held); heal() }, func() bool { return len(arrived) > 0 }
	}
	renew()
	release, waiting := hold()
	first, leave := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() { _, _ = w.AskContext(first, e2e.ListQuery, e2e.Request{}) })
	e2e.Await(t, "the first client's call", waiting)
	stays := make(chan error, 1)
	clients.Go(func() {
		a, err := w.AskContext(t.Context(), e2e.ListQuery, e2e.Request{})
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("status %d", a.Status)
		}
		stays <- err
	})
	time.Sleep(50 * time.Millisecond) // the second joins; if it is late, it is executed separately, which also passes
	leave()
	time.Sleep(50 * time.Millisecond)
	release()
	if err := <-stays; err != nil {
		t.Errorf("the client who stayed: %v", err)
	}
	clients.Wait()
	if a := w.Ask(e2e.ListQuery, e2e.Request{}); len(a.Errors) > 0 {
		t.Errorf("afterwards: %s", a.Body)
	}
}

// TestZstd tests the encoding that current browsers prefer.
func TestZstd(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	text, err := json.Marshal(map[string]string{"query": e2e.JoinQuery})
	if err != nil {
		t.Fatal(err)
	}
	_, plain := postText(w, string(text), map[string]string{"Accept-Encoding": "identity"})
	resp, packed := postText(w, string(text), map[string]string{"Accept-Encoding": "gzip, deflate, br, zstd"})
	if resp.Header.Get("Content-Encoding") != "zstd" {
		t.Fatalf("Content-Encoding %q", resp.Header.Get("Content-Encoding"))
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	unpacked, err := d.DecodeAll(packed, nil)
	if err != nil || string(unpacked) != string(plain) {
		t.Errorf("%v: %d bytes for %d", err, len(unpacked), len(plain))
	}
}

// postText sends a body unchanged.
func postText(w *e2e.World, body string, header ...map[string]string) (*http.Response, []byte) {
	return w.Send(http.MethodPost, "/graphql", body, e2e.MergeHeaders(append(header, map[string]string{"Content-Type": "application/json"})...))
}
