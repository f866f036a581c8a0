package joins

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// irregularList is a list of workflows with configurable pages and count.
type irregularList struct {
	ids   []string
	size  func(asked int) int          // page size for a requested size
	count func(index, size int) string // the JSON of the count member, "" for none
	calls atomic.Int64
}

func newIrregularList(n int) *irregularList {
	l := &irregularList{ids: make([]string, n)}
	for i := range l.ids {
		l.ids[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
	}
	return l
}

func (l *irregularList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.calls.Add(1)
	asked, index := 20, 0
	if s := r.URL.Query().Get("PageSize"); s != "" {
		asked, _ = strconv.Atoi(s)
	}
	if s := r.URL.Query().Get("PageIndex"); s != "" {
		index, _ = strconv.Atoi(s)
	}
	size := l.size(asked)
	from := min(index*size, len(l.ids))
	var b strings.Builder
	b.WriteString(`{`)
	if c := l.count(index, size); c != "" {
		b.WriteString(`"count":` + c + `,`)
	}
	b.WriteString(`"list":[`)
	for i, id := range l.ids[from:min(from+size, len(l.ids))] {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"id":%q,"name":"w"}`, id)
	}
	b.WriteString(`]}`)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(b.String()))
}

// before replaces the simulator's list.
func (l *irregularList) before(t *testing.T) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, sim *consolesim.Server) {
		target, err := url.Parse(sim.APIURL())
		if err != nil {
			t.Fatal(err)
		}
		carrier := &http.Transport{MaxIdleConnsPerHost: 100}
		others := &httputil.ReverseProxy{Transport: carrier, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
		console := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == "/openapi/workflows" {
				l.ServeHTTP(w, r)
				return
			}
			others.ServeHTTP(w, r)
		}))
		t.Cleanup(func() {
			console.Close()
			carrier.CloseIdleConnections()
		})
		s.ConsoleURL = console.URL
	}
}

type irregularAnswer struct {
	Workflows struct {
		TotalCount int
		PageInfo   struct {
			HasNextPage, HasPreviousPage bool
			EndCursor                    *string
		}
		Nodes []struct{ ID string }
	}
}

// perPage counts the entities of a page.
const perPage = "what the page holds"

// TestRandomCounts reads lists with each kind of count, whose lengths, pages and windows are random. The variable SEED
// chooses others, and more of them.
func TestRandomCounts(t *testing.T) {
	t.Parallel()
	seed, cases := uint64(1), 26 // two of each kind
	if s := os.Getenv("SEED"); s != "" {
		n, _ := strconv.Atoi(s)
		seed, cases = uint64(n), 400
	}
	t.Logf("SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range cases {
		n := []int{0, 1, 2, 19, 20, 21, 27, 28, 54, 66, 100, 129, 281}[rnd.IntN(13)]
		l := newIrregularList(n)
		limit := []int{2, 5, 7, 10, 20, 27, 50, 100, 500}[rnd.IntN(9)]
		always := rnd.IntN(3) == 0
		pages := fmt.Sprint("at most ", limit)
		l.size = func(asked int) int { return min(asked, limit) }
		if always {
			pages = fmt.Sprint("always ", limit)
			l.size = func(int) int { return limit }
		}
		var said string
		atLeast := true // the count is never below the list's length
		switch i % 13 {
		case 0:
			said = fmt.Sprint(n)
			l.count = func(int, int) string { return said }
		case 1:
			said = fmt.Sprint(n + []int{1, 2, 20, 264, 1000}[rnd.IntN(5)])
			l.count = func(int, int) string { return said }
		case 2:
			said = fmt.Sprint(max(0, n-[]int{1, 2, 20, 50}[rnd.IntN(4)]))
			atLeast = n == 0
			l.count = func(int, int) string { return said }
		case 3:
			said, atLeast = "0", n == 0
			l.count = func(int, int) string { return said }
		case 4:
			said = "none"
			l.count = func(int, int) string { return "" }
		case 5:
			said = "-1"
			l.count = func(int, int) string { return said }
		case 6:
			said = strconv.Quote(fmt.Sprint(n))
			l.count = func(int, int) string { return said }
		case 7:
			said = "null"
			l.count = func(int, int) string { return said }
		case 8:
			said, atLeast = perPage, false
			l.count = func(index, size int) string { return fmt.Sprint(max(0, min(size, n-index*size))) }
		case 9:
			said = "2147483647"
			l.count = func(int, int) string { return said }
		case 10:
			said = `"many"`
			l.count = func(int, int) string { return said }
		case 11:
			said = "that grows from page to page"
			l.count = func(index, _ int) string { return fmt.Sprint(n + index%3) }
		case 12:
			said, atLeast = "that shrinks from page to page", false
			l.count = func(index, _ int) string { return fmt.Sprint(max(0, n-index%3)) }
		}
		name := fmt.Sprintf("%d, %s, count %s", n, pages, said)
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, l.before(t))
			if always {
				// Until the console's page size is detected, its last page may look like one
				// of the requested size.
				w.Query(`{ workflows(first: 1) { totalCount nodes { id } } }`, nil)
			}
			if atLeast && !always {
				// Until the console's limit is detected, hidden entities look like a count
				// that is too large.
				w.Query(`{ workflows(first: 500) { totalCount nodes { id } } }`, nil)
			}
			var done []string
			for range 6 {
				first, offset := []int{1, 5, 20, 25, 50, 100, 200, 500}[rnd.IntN(8)], 0
				if rnd.IntN(2) == 0 {
					offset = rnd.IntN(n + 10)
				}
				l.calls.Store(0)
				var got irregularAnswer
				w.Query(fmt.Sprintf(`{ workflows(first: %d, offset: %d) { totalCount pageInfo { hasNextPage hasPreviousPage endCursor } nodes { id } } }`, first, offset), &got)
				calls := l.calls.Load()
				done = append(done, fmt.Sprintf("%d+%d", offset, first))
				var ids []string
				for _, node := range got.Workflows.Nodes {
					ids = append(ids, node.ID)
				}
				want := l.ids[min(offset, n):min(offset+first, n)]
				if atLeast || offset == 0 && first == 500 && limit >= 10 && said != perPage && said != fmt.Sprint(limit) {
					if !slices.Equal(want, ids) {
						t.Errorf("%v: %d nodes, want %d", done, len(ids), len(want))
					}
				} else if len(ids) > len(want) || !slices.Equal(want[:len(ids)], ids) {
					t.Errorf("%v: %d nodes, not of %d", done, len(ids), len(want))
				}
				if most := int64(2*((first+offset)/min(limit, max(1, n))+n/limit) + 8); calls > most {
					t.Errorf("%v: %d calls, more than %d", done, calls, most)
				}
				total, end := got.Workflows.TotalCount, offset+len(ids)
				if total < end && len(ids) > 0 {
					t.Errorf("%v: total %d, %d came to %d", done, total, len(ids), end)
				}
				if len(ids) == first && got.Workflows.PageInfo.HasNextPage != (total > end) {
					t.Errorf("%v: total %d, end %d, next %t", done, total, end, got.Workflows.PageInfo.HasNextPage)
				}
				if got.Workflows.PageInfo.HasNextPage && got.Workflows.PageInfo.EndCursor == nil {
					t.Errorf("%v: there is more, without a cursor to it", done)
				}
				if atLeast && end < n && len(ids) == first && !got.Workflows.PageInfo.HasNextPage {
					t.Errorf("%v: hasNextPage is missing", done)
				}
				if offset+first >= max(n, total) && got.Workflows.PageInfo.HasNextPage {
					t.Errorf("%v: there is no more", done)
				}
			}
			for _, first := range []int{20, 7} {
				walked := walk(w, first)
				if atLeast && !slices.Equal(walked, l.ids) {
					t.Errorf("walk by %d after %v: %d of %d", first, done, len(walked), n)
				} else if !atLeast {
					if !slices.Equal(walked, l.ids[:min(len(walked), n)]) {
						t.Errorf("walk by %d after %v: out of order or twice", first, done)
					} else if len(walked) < n {
						t.Logf("walk by %d after %v: %d of %d", first, done, len(walked), n)
					}
				}
			}
		})
	}
}
