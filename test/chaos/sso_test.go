package chaos

import (
	"net/http"
	"strconv"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// sso returns a row of an SSO that fails, at a moment when the console refuses the old tokens.
func sso(name string, f consolesim.Fault, want cells) row {
	return row{name: "SSO: " + name, begin: func(w *world) { w.failSSO(f) }, want: want}
}

// withoutToken returns the cells of calls whose token is refused and cannot be renewed. The console has done nothing.
func withoutToken(code string) cells {
	c := refuses(code)
	c.cached, c.join, c.stream = cell{stale: "ERROR", calls: 1}, cell{code: code, calls: 1}, cell{}
	c.upload.code = unauthenticated // a file cannot be sent again
	return c
}

func ssoRows() []row {
	page := func(status int, code string) row {
		return sso("page with "+strconv.Itoa(status), consolesim.NginxPage.Fault(status), withoutToken(code))
	}
	return []row{
		sso("slow", consolesim.Fault{Delay: 300 * time.Millisecond}, renews()),
		sso("hangs", consolesim.Fault{Delay: time.Hour}, withoutToken(timedOut).with(func(c *cells) {
			for _, waits := range []*cell{&c.list, &c.join, &c.mutation, &c.keyed} {
				waits.wait = timeout
			}
			c.cached = cell{stale: "SLOW", wait: staleWait, calls: 1}
		})),
		sso("resets", consolesim.Fault{Drop: true}, withoutToken(unavailable)),
		sso("cuts its answer", consolesim.Fault{Truncate: true}, withoutToken(unavailable)),
		sso("400 invalid_grant", consolesim.Fault{Status: http.StatusBadRequest, Body: []byte(`{"error":"invalid_grant"}`)}, refuses(unauthenticated).with(func(c *cells) {
			c.join.calls = 1
			c.keyed.again, c.keyed.outcome = unauthenticated, refused // a refused password is not tried again at once
		})),
		sso("429", consolesim.Fault{Status: http.StatusTooManyRequests}, withoutToken(limited)),
		withOrdinaryTests(sso("500", consolesim.Fault{Status: http.StatusInternalServerError}, withoutToken(unavailable))),
		sso("503", consolesim.Fault{Status: http.StatusServiceUnavailable}, withoutToken(unavailable)),
		page(http.StatusOK, invalid), page(http.StatusUnauthorized, invalid), page(http.StatusForbidden, invalid), page(http.StatusBadGateway, unavailable),
	}
}

// connectionRows returns the faults of connections to the console.
func connectionRows() []row {
	over := func(name string, want cells, fault func(*world)) row {
		return row{name: "network: " + name, needs: needs{proxy: true}, want: want, begin: func(w *world) {
			w.openConnection()
			w.onHeal(func() {
				if err := w.proxy.Restore(); err != nil {
					w.t.Error(err)
				}
			})
			fault(w)
		}}
	}
	silent := over("open connections go silent", works().with(func(c *cells) {
		c.mutation, c.keyed = hangs().mutation, hangs().keyed // a mutation is never sent twice
	}), func(w *world) { w.proxy.Silence() })
	silent.adjust, silent.short = func(s *gateway.Settings) { s.HedgeDelay = 200 * time.Millisecond }, true
	http2 := silent
	http2.name, http2.needs, http2.short = "network: the open connection of HTTP/2 goes silent", needs{http2: true}, false
	http2.want.cached = cell{stale: "SLOW", wait: staleWait} // pings find the dead connection later
	return []row{
		over("slow", works(), func(w *world) { w.proxy.Delay(200 * time.Millisecond) }),
		silent,
		http2,
		over("open connections are reset", works(), func(w *world) { w.proxy.Reset() }),
		over("connections are refused", fails(unavailable, 0).with(func(c *cells) {
			for _, change := range []*cell{&c.mutation, &c.keyed, &c.upload} {
				*change = cell{code: unavailable, outcome: notSent}
			}
			c.keyed.executed = 1
		}), func(w *world) { w.proxy.Refuse() }),
		over("all packets are lost", hangs(), func(w *world) { w.proxy.Blackhole() }),
	}
}

// openConnection leaves an idle connection to the console, of the kind that the column's operation uses.
func (w *world) openConnection() {
	if w.column.run == nil { // no single operation
		return
	}
	if w.column.read || w.column.stream {
		w.Query(`{ queues(first: 1) { nodes { id } } }`, nil)
		return
	}
	w.Query(`mutation { createQueue(input: {name: "opens a connection"}) { queue { id } } }`, nil)
}
