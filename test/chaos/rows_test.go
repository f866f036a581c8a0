package chaos

import (
	"net/http"
	"strconv"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// row is a fault, and what callers see of it.
type row struct {
	name   string // in the document
	needs  needs
	adjust func(*gateway.Settings)
	begin  func(*world)
	want   cells
	short  bool // runs with the ordinary tests
}

// cells are what callers see of a fault, by column.
type cells struct{ list, cached, join, mutation, keyed, stream, upload cell }

// titles returns the titles of the document's columns.
func titles() []string {
	return []string{"list, cold", "list, cached", "join", "mutation", "mutation with key", "WebSocket, SSE", "upload"}
}

// columns returns the cells in the order of titles.
func (c *cells) columns() []cell {
	return []cell{c.list, c.cached, c.join, c.mutation, c.keyed, c.stream, c.upload}
}

const (
	unavailable = "UPSTREAM_UNAVAILABLE"
	timedOut    = "UPSTREAM_TIMEOUT"
	invalid     = "UPSTREAM_INVALID_RESPONSE"
	limited     = "RATE_LIMITED"
	unknown     = "UNKNOWN"
	refused     = "REFUSED"
	notSent     = "NOT_SENT"
	conflict    = "CONFLICT"

	unauthenticated = "UNAUTHENTICATED"
)

// works returns the cells of a fault that callers do not see.
func works() cells {
	done := cell{calls: 1, executed: 1}
	return cells{list: cell{calls: 1}, cached: cell{calls: 1}, join: cell{calls: 2}, mutation: done, keyed: done, upload: cell{calls: 2, executed: 1}}
}

// fails returns the cells of a console that cannot answer, and takes so many calls for a read. It may have executed.
func fails(code string, calls int) cells {
	change := cell{code: code, outcome: unknown, calls: 1, executed: 1}
	again := change
	again.again = conflict
	return cells{
		list: cell{code: code, calls: calls}, cached: cell{stale: "ERROR", calls: calls}, join: cell{code: code, calls: 1 + calls},
		mutation: change, keyed: again, upload: change,
	}
}

// hangs returns the cells of a console that does not answer in time.
func hangs() cells {
	c := fails(timedOut, 2) // a second call shows whether the connection is dead
	for _, waits := range []*cell{&c.list, &c.join, &c.mutation, &c.keyed, &c.upload} {
		waits.wait = timeout
	}
	c.cached = cell{stale: "SLOW", wait: staleWait, calls: 1}
	return c
}

// refuses returns the cells of a console that refuses. It executes nothing.
func refuses(code string) cells {
	change := cell{code: code, outcome: refused, calls: 1}
	again := change
	again.executed = 1
	return cells{
		list: cell{code: code, calls: 1}, cached: cell{code: code, calls: 1}, join: cell{code: code, calls: 2},
		mutation: change, keyed: again, upload: change, stream: cell{code: code, ended: true},
	}
}

// renews returns the cells of a token that the console refuses and that is renewed.
func renews() cells {
	return works().with(func(c *cells) {
		c.list.calls, c.cached.calls, c.join.calls, c.mutation.calls, c.keyed.calls = 2, 2, 3, 2, 2
		c.upload = refuses(unauthenticated).upload // a file cannot be sent again
	})
}

// with returns c after change.
func (c cells) with(change func(*cells)) cells {
	change(&c)
	return c
}

// console returns a row of a console that fails all calls.
func console(name string, f consolesim.Fault, want cells) row {
	return row{name: "console: " + name, begin: func(w *world) { w.failConsole(f) }, want: want}
}

// withOrdinaryTests makes rows run with the ordinary tests.
func withOrdinaryTests(r row) row {
	r.short = true
	return r
}

func consoleRows() []row {
	retryAfter := http.Header{"Retry-After": {"3"}}
	return []row{
		withOrdinaryTests(console("slow", consolesim.Fault{Delay: 300 * time.Millisecond}, works())),
		withOrdinaryTests(console("hangs", consolesim.Fault{Delay: time.Hour}, hangs())),
		console("resets before it executes", consolesim.Fault{Drop: true}, fails(unavailable, 3)),
		withOrdinaryTests(console("executes, then resets", consolesim.Fault{Drop: true, After: true}, fails(unavailable, 3))),
		console("cuts its answer", consolesim.Fault{Truncate: true}, fails(unavailable, 3)),
		console("answers garbage", consolesim.Fault{Body: []byte("\x00\xff{]"), ContentType: "application/octet-stream"}, fails(invalid, 1)),
		withOrdinaryTests(console("answers no HTTP", consolesim.Fault{Raw: "SSH-2.0-OpenSSH_9.9\r\n"}, fails(invalid, 1))),
		console("executes, then sends a malformed chunk", consolesim.Fault{After: true, Raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nlength\r\n"}, fails(invalid, 1)),
		withOrdinaryTests(console("101 Switching Protocols", consolesim.Fault{Raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"}, fails(invalid, 1))),
		withOrdinaryTests(console("answers without end", consolesim.Fault{Endless: true}, fails(invalid, 1))),
		console("answers byte by byte", consolesim.Fault{Drip: 100 * time.Millisecond}, hangs()),
		console("401 once", consolesim.Fault{Status: http.StatusUnauthorized, Times: 1}, renews()),
		withOrdinaryTests(console("401", consolesim.Fault{Status: http.StatusUnauthorized}, refuses(unauthenticated).with(func(c *cells) {
			c.list.calls, c.cached.calls, c.join.calls, c.mutation.calls, c.keyed.calls = 2, 2, 3, 2, 2
		}))),
		console("403", consolesim.Fault{Status: http.StatusForbidden}, refuses("FORBIDDEN").with(func(c *cells) {
			c.join.calls = 7 // a list that is refused says nothing of its entities
		})),
		console("404", consolesim.Fault{Status: http.StatusNotFound}, refuses("NOT_FOUND").with(func(c *cells) {
			c.join = cell{calls: 8} // what does not exist is null
		})),
		console("409", consolesim.Fault{Status: http.StatusConflict}, refuses(conflict).with(func(c *cells) {
			c.cached, c.stream = cell{stale: "ERROR", calls: 1}, cell{}
		})),
		console("429", consolesim.Fault{Status: http.StatusTooManyRequests}, refuses(limited).with(func(c *cells) {
			c.cached, c.stream = cell{stale: "ERROR", calls: 1}, cell{}
		})),
		withOrdinaryTests(console("429 with Retry-After", consolesim.Fault{Status: http.StatusTooManyRequests, Header: retryAfter}, refuses(limited).with(func(c *cells) {
			c.cached, c.stream = cell{stale: "PAUSED", calls: 1}, cell{}
			c.keyed.executed = 1
		}))),
		withOrdinaryTests(console("500", consolesim.Fault{Status: http.StatusInternalServerError}, fails(unavailable, 1).with(func(c *cells) {
			c.join.calls = 3 // it may not know the parameter Ids
		}))),
		console("502", consolesim.Fault{Status: http.StatusBadGateway}, fails(unavailable, 3)),
		withOrdinaryTests(console("503", consolesim.Fault{Status: http.StatusServiceUnavailable}, fails(unavailable, 3))),
		console("503 with Retry-After", consolesim.Fault{Status: http.StatusServiceUnavailable, Header: retryAfter}, fails(unavailable, 1).with(func(c *cells) {
			c.cached.stale = "PAUSED"
		})),
		console("504", consolesim.Fault{Status: http.StatusGatewayTimeout}, fails(timedOut, 3)),
	}
}

// pageRows returns the faults of a proxy that answers with a page of its own.
func pageRows() []row {
	var rows []row
	for _, status := range []int{200, 401, 403, 404, 409, 429, 500, 502, 503, 504} {
		want := fails(invalid, 1)
		switch status {
		case http.StatusTooManyRequests:
			want = fails(unavailable, 1)
		case http.StatusInternalServerError:
			want = fails(unavailable, 1).with(func(c *cells) { c.join.calls = 3 })
		case http.StatusBadGateway, http.StatusServiceUnavailable:
			want = fails(unavailable, 3)
		case http.StatusGatewayTimeout:
			want = fails(timedOut, 3)
		}
		r := console("", consolesim.NginxPage.Fault(status), want)
		r.name = "proxy: page with " + strconv.Itoa(status)
		r.short = status == http.StatusOK
		rows = append(rows, r)
	}
	return rows
}
