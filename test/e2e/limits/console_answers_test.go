//go:build linux

package limits

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestConsoleAnswerMemoryIsBounded lets the console answer many different reads with a lot of data at once.
// The released binary is within its bound of memory at its default settings, and answers or refuses each read, while
// another caller is answered.
func TestConsoleAnswerMemoryIsBounded(t *testing.T) {
	t.Parallel()
	read := func(i int) string {
		return graphqlBody(fmt.Sprintf(`{ workflows(first: 500, filter: {name: "large %d"}) { nodes { id description } } }`, i))
	}
	for name, tt := range map[string]struct {
		fault consolesim.Fault
		attack
	}{
		"64 answers of 4 MB": {
			consolesim.Fault{Body: listOfWorkflows(500, 8<<10)},
			attack{times: 64, memory: 400 << 20, right: orUnavailable(func(a e2e.Answer) bool { return len(a.Errors) == 0 && len(a.Data) > 4_000_000 })},
		},
		"16 lists without an end": {consolesim.Fault{Endless: true}, attack{times: 16, memory: 200 << 20, right: invalidResponse}},
		"16 texts of 40 MB":       {consolesim.Fault{Body: listOfWorkflows(1, 40<<20)}, attack{times: 16, memory: 640 << 20, right: orUnavailable(tooComplex)}},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLimited(t, 0)
			l.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Query().Get("Name"), "large") }, tt.fault)
			tt.each = read
			l.attack(tt.attack)
		})
	}
}

// listOfWorkflows is the console's list of n workflows, each with a description of that many bytes.
func listOfWorkflows(n, length int) []byte {
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, `{"count":%d,"list":[`, n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&b, `{"id":"00000000-0000-4000-8000-%012d","name":"large","description":"%s"}`, i, strings.Repeat("d", length))
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// orUnavailable also accepts a refusal for lack of memory.
func orUnavailable(right func(e2e.Answer) bool) func(e2e.Answer) bool {
	return func(a e2e.Answer) bool {
		return right(a) || a.Status == http.StatusServiceUnavailable && len(a.Errors) == 1 && a.Errors[0].Extensions.Code == "RATE_LIMITED"
	}
}

func invalidResponse(a e2e.Answer) bool {
	return len(a.Errors) == 1 && a.Errors[0].Extensions.Code == "UPSTREAM_INVALID_RESPONSE"
}
