//go:build linux

package limits

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// containerMemory is the limit of deploy/kubernetes/base.
const containerMemory = 1 << 30

// graphqlBody is the body of a query.
func graphqlBody(query string) string {
	body, _ := json.Marshal(map[string]string{"query": query}) // cannot fail
	return string(body)
}

// attacks is the default number of concurrent requests.
var attacks = flag.Int("attacks", 70, "how many requests that need much memory TestRequestMemoryIsBounded sends at once")

// attack is a request that needs much memory. It is sent many times concurrently.
type attack struct {
	body      string
	each      func(i int) string // the body of the i-th request; nil: body
	anonymous bool               // without credentials
	unknown   bool               // each with a token that the console refuses
	times     int                // default: attacks
	scale     int                // of the console; default 1500
	memory    int64              // that the process may have; default containerMemory
	right     func(e2e.Answer) bool
}

// TestRequestMemoryIsBounded sends many concurrent requests that need much memory to
// the released binary with a container's memory. The process survives, and meanwhile answers
// another caller.
func TestRequestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	alias := strings.Repeat("n", 150_000)
	rows := func(lists int, fields string) string {
		return graphqlBody(`{ ` + aliased(lists, 4, "workflows(first: 500) { nodes { ...F } }") + `} fragment F on Workflow { ` + fields + `}`)
	}
	counts := func(queues, n int) string {
		return graphqlBody(`{ companies { departments { queues(first: ` + strconv.Itoa(queues) + `) { nodes { ` + e2e.CountQuery(n) + `} } } } }`)
	}
	variables := func(query string) string {
		return `{"query":"` + query + `","variables":{"v":[` + strings.Repeat("{},", 349_000) + `{}]}}`
	}
	lists := func(i int) string { // no document is like another
		return graphqlBody(`{` + aliased(400, 4, "queues(filter: {name: \"n"+strconv.Itoa(i)+"\"}) { totalCount }") + `}`)
	}
	whole := orBusy(func(a e2e.Answer) bool { return a.Status == http.StatusOK && len(a.Errors) == 0 })
	for name, tt := range map[string]attack{
		"an alias of 150 KB":          {body: graphqlBody(`{ workflows(first: 500) { nodes { ` + alias + `: id } } }`), right: tooComplex},
		"long aliases in a fragment":  {body: rows(20, aliased(400, 128, "id")), right: orBusy(tooComplex)},
		"answers of 15 MB":            {body: rows(1, aliased(180, 128, "id")), right: whole, times: 16},
		"answers of 490,000 values":   {body: rows(2, aliased(490, 4, "priority")), right: whole, times: 16},
		"calls of many queues":        {body: counts(500, 12), right: orBusy(tooComplex), times: *attacks / 2, scale: 20_000},
		"calls of many counts":        {body: counts(1, 490), right: orBusy(tooComplex), times: *attacks / 2},
		"variables without a caller":  {body: variables("{__typename}"), anonymous: true, right: func(a e2e.Answer) bool { return a.Status == http.StatusRequestEntityTooLarge }},
		"variables":                   {body: variables("{__typename}"), right: whole},
		"many fields of strangers":    {each: lists, unknown: true, right: orBusy(refused), times: 4 * *attacks, memory: 768 << 20},
		"many fields":                 {each: lists, right: whole, times: 4 * *attacks, memory: 768 << 20},
		"variables that are declared": {body: variables("query($v: [ID!]) { robots(filter: {ids: $v}) { totalCount } }"), right: orBusy(invalid)},
	} {
		t.Run(name, func(t *testing.T) { startLimited(t, tt.scale).attack(tt) })
	}
}

func tooComplex(a e2e.Answer) bool {
	return len(a.Errors) > 0 && a.Errors[0].Extensions.Code == "QUERY_TOO_COMPLEX"
}

func refused(a e2e.Answer) bool {
	return len(a.Errors) > 0 && a.Errors[0].Extensions.Code == "UNAUTHENTICATED"
}

func invalid(a e2e.Answer) bool {
	return len(a.Errors) > 0 && a.Status == http.StatusUnprocessableEntity
}

// orBusy also accepts an answer that there is no memory for the request.
func orBusy(right func(e2e.Answer) bool) func(e2e.Answer) bool {
	return func(a e2e.Answer) bool {
		return right(a) || len(a.Errors) == 1 && a.Errors[0].Extensions.Code == "RATE_LIMITED"
	}
}

// limited is a gateway in a process that is limited to containerMemory.
type limited struct {
	*e2e.Process
	cgroup      *memoryCgroup     // nil: not available
	user, other map[string]string // credentials of two callers

	decoding sync.Mutex
	encoded  []byte     // the last decoded body, as it was sent
	decoded  e2e.Answer // what it says
}

// startLimited starts the release with its default settings, but for timeouts, which a busy machine would exceed.
func startLimited(t *testing.T, scale int) *limited {
	t.Helper()
	sim := e2e.NewSim(t, consolesim.Options{Scale: cmp.Or(scale, 1500)})
	binary := e2e.Release.Binary(t)
	l := &limited{cgroup: newMemoryCgroup(t, containerMemory)}
	if l.cgroup != nil {
		binary = l.cgroup.command(t, binary)
	}
	l.Process = e2e.StartProcess(t, binary, sim, "", "CONSOLEQL_CACHE=on", "CONSOLEQL_ANONYMOUS=false",
		"CONSOLEQL_CONSOLE_TIMEOUT=5m", "CONSOLEQL_OPERATION_TIMEOUT=10m", "GOMEMLIMIT=", "GOGC=")
	if l.cgroup != nil && !strings.Contains(l.Log.String(), `"from":"cgroup"`) {
		t.Errorf("the gateway does not see its limit:\n%s", l.Log)
	}
	user, _ := sim.DefaultUser()
	l.user = e2e.MergeHeaders(l.TokenHeader(user), e2e.ScopeHeader(sim.Data().MainCompanyID(), sim.Data().MainDepartmentID()))
	solo := sim.Data().SoloUser()
	l.other = e2e.MergeHeaders(l.TokenHeader(solo.Username), e2e.ScopeHeader(solo.CompanyIDs[0], ""))
	return l
}

// attack sends a body many times concurrently, while another caller repeats a small request.
func (l *limited) attack(of attack) {
	l.T.Helper()
	header := l.user
	if of.anonymous {
		header = nil
	}
	times := cmp.Or(of.times, *attacks)
	var attackers, other sync.WaitGroup
	var mu sync.Mutex
	said := make(map[string]int)
	for i := range times {
		attackers.Go(func() {
			body := of.body
			if of.each != nil {
				body = of.each(i)
			}
			header := header
			if of.unknown {
				header = e2e.MergeHeaders(l.user, map[string]string{"Authorization": fmt.Sprint("Bearer stranger-", i)})
			}
			a, err := l.Post(body, header)
			what := fmt.Sprintf("right, status %d", a.Status)
			if err != nil || !of.right(a) {
				what = fmt.Sprintf("%v, status %d: %.300s", err, a.Status, a.Body)
				l.T.Errorf("answered %s", what)
			}
			mu.Lock()
			defer mu.Unlock()
			said[what]++
		})
	}
	over := make(chan struct{})
	answered := 0
	other.Go(func() {
		for ended := false; !ended; answered++ {
			a, err := l.Post(graphqlBody(`{ viewer { userName } }`), l.other)
			if err != nil || len(a.Errors) > 0 || !strings.Contains(string(a.Data), l.Sim.Data().SoloUser().Username) {
				l.T.Errorf("another caller is answered %v: %.300s", err, a.Body)
				return
			}
			select {
			case <-over:
				ended = true
			default:
			}
		}
	})
	attackers.Wait()
	close(over)
	other.Wait()
	if l.cgroup != nil {
		if n := l.cgroup.killed(l.T); n != "0" {
			l.T.Fatalf("the kernel has killed %s processes", n)
		}
	}
	peak := peakMemory(l.T, l.Cmd.Process.Pid)
	l.T.Logf("at most %d MiB (in a cgroup: %t); another caller was answered %d times; %v", peak>>20, l.cgroup != nil, answered, said)
	if most := cmp.Or(of.memory, containerMemory); peak >= most {
		l.T.Errorf("the process has had %d MiB, more than %d", peak>>20, most>>20)
	}
}

// Post sends a body of any size. The server may answer before it has read the whole body.
func (l *limited) Post(body string, header map[string]string) (e2e.Answer, error) {
	req, err := http.NewRequestWithContext(l.T.Context(), http.MethodPost, l.URL+"/graphql", strings.NewReader(body))
	if err != nil {
		return e2e.Answer{}, err
	}
	for name, value := range e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Accept-Encoding": "gzip"}, header) {
		req.Header.Set(name, value)
	}
	resp, err := l.Client.Do(req)
	if err != nil {
		return e2e.Answer{}, err
	}
	defer resp.Body.Close()
	sent, err := io.ReadAll(resp.Body)
	if err != nil {
		return e2e.Answer{}, err
	}
	return l.decode(resp, sent)
}

// decode decodes an answer, unless it equals the last one as it was sent. With the race detector, 15 MB take seconds to
// decompress and to decode.
func (l *limited) decode(resp *http.Response, sent []byte) (e2e.Answer, error) {
	l.decoding.Lock()
	defer l.decoding.Unlock()
	if l.decoded.Status == resp.StatusCode && bytes.Equal(l.encoded, sent) {
		return l.decoded, nil
	}
	a := e2e.Answer{Status: resp.StatusCode, Body: sent}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(bytes.NewReader(sent))
		if err != nil {
			return e2e.Answer{}, err
		}
		if a.Body, err = io.ReadAll(plain); err != nil {
			return e2e.Answer{}, err
		}
	}
	if err := json.Unmarshal(a.Body, &a); err != nil {
		return e2e.Answer{}, err
	}
	l.encoded, l.decoded = sent, a
	return a, nil
}
