package chaos

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// column is a kind of operation.
type column struct {
	name        string
	healthyPath string // the path of the list that a fault leaves healthy
	read        bool
	stream      bool
	run         func(*world) cell
	of          func(*cells) cell
}

const (
	listQuery = `{ robots(first: 5) { nodes { id name } } }`
	joinQuery = `{ workflows(first: 5) { nodes { id queue { id name } } } }`
)

// columns are the kinds of operations, in the document's order.
func columns() []column {
	return []column{
		{name: "list, cold", read: true, run: (*world).listCold, of: func(c *cells) cell { return c.list }},
		{name: "list, cached", read: true, run: (*world).listWarm, of: func(c *cells) cell { return c.cached }},
		{name: "join", read: true, healthyPath: "/openapi/workflows", run: (*world).join, of: func(c *cells) cell { return c.join }},
		{name: "mutation", run: (*world).mutation, of: func(c *cells) cell { return c.mutation }},
		{name: "mutation with key", run: (*world).keyed, of: func(c *cells) cell { return c.keyed }},
		{name: "WebSocket", stream: true, run: (*world).socket, of: func(c *cells) cell { return c.stream }},
		{name: "SSE", stream: true, run: (*world).events, of: func(c *cells) cell { return c.stream }},
		{name: "upload", run: (*world).upload, of: func(c *cells) cell { return c.upload }},
	}
}

// start begins the fault and resets the counts.
func (w *world) start() {
	w.begin(w)
	w.Sim.ResetCounts()
}

// ask sends an operation under the fault.
func (w *world) ask(query string) cell {
	return w.seen(w.post(query))
}

// post sends an operation; its answer is nil if the connection was lost.
func (w *world) post(query string) *e2e.Answer {
	a, err := w.AskContext(w.t.Context(), query, e2e.Request{})
	if err != nil {
		w.t.Logf("the answer was lost: %v", err)
		return nil
	}
	return &a
}

// seen describes an answer.
func (w *world) seen(a *e2e.Answer) cell {
	c := cell{calls: w.calls()}
	if a == nil {
		c.lost = true
		return c
	}
	if len(a.Errors) > 0 {
		c.code, c.outcome = a.Errors[0].Extensions.Code, a.Errors[0].Extensions.Outcome
	}
	var said struct {
		Extensions struct{ Stale struct{ Reason string } }
	}
	if err := json.Unmarshal(a.Body, &said); err != nil {
		w.t.Errorf("%v in %s", err, a.Body)
	}
	c.stale = said.Extensions.Stale.Reason
	return c
}

func (w *world) listCold() cell {
	w.start()
	return w.ask(listQuery)
}

// usualTime is how long the console takes for a cached list. The stale wait of the next read is twice that time, so that
// a busy machine does not exhaust it.
const usualTime = 1500 * time.Millisecond

func (w *world) listWarm() cell {
	stop := w.Sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Delay: usualTime})
	w.Query(listQuery, nil)
	stop()
	time.Sleep(2 * lifetime)
	w.start()
	return w.ask(listQuery)
}

// join reads a list that is well, and related entities that are not.
func (w *world) join() cell {
	w.start()
	return w.ask(joinQuery)
}

func (w *world) mutation() cell {
	w.start()
	c := w.ask(fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, w.workflow()))
	c.executed = len(w.Sim.Data().Jobs())
	return c
}

// workflow returns a workflow of the main department.
func (w *world) workflow() string {
	return w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
}

// longestRepeat bounds how long a caller repeats a mutation that is not sent.
const longestRepeat = 20 * time.Second

// keyed executes with a key. After the fault it executes with the key again, until it gets something else than that
// nothing was sent.
func (w *world) keyed() cell {
	w.start()
	c := w.ask(w.Execution("the key"))
	w.heal()
	again := w.seen(w.post(w.Execution("the key")))
	for end := time.Now().Add(longestRepeat); again.outcome == "NOT_SENT" && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		again = w.seen(w.post(w.Execution("the key")))
	}
	c.again, c.executed = again.code, len(w.Sim.Data().Jobs())
	return c
}

// upload sends a small package.
func (w *world) upload() cell {
	before := len(w.Sim.Data().Uploads())
	w.start()
	var c cell
	file, _ := e2e.RandomFile(1000)
	if a, err := w.UploadWithLength(file, func(form []byte) []byte { return form }); err == nil {
		c = w.seen(&a)
	} else {
		c = w.seen(nil)
	}
	c.executed = len(w.Sim.Data().Uploads()) - before
	return c
}
