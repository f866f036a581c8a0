package dashboard

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/tcpproxy"
)

func apiCalls(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/") }

// executions matches the calls that start a workflow.
func executions(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }

// TestBrowserShowsErrors loses the console before the page opens, and finds it again.
func TestBrowserShowsErrors(t *testing.T) {
	t.Parallel()
	for name, screen := range map[string]func(*consolesim.Data) string{
		"overview":   func(*consolesim.Data) string { return "" },
		"department": departmentOf,
		"workflow":   workflowOf,
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			cancel := w.Sim.Fail(apiCalls, consolesim.Fault{Status: http.StatusServiceUnavailable})
			p := open(t, w, screen(w.Sim.Data()), browsertest.Options{})
			waitForElement(p, ".centred[role=alert]")
			waitForText(p, "The console could not be read")
			cancel()
			p.Do(chromedp.Click(chromedp.CSS("button.primary")))
			waitForElement(p, ".live")
		})
	}
}

func TestBrowserShowsLoadingState(t *testing.T) {
	t.Parallel()
	w := world(t)
	hold := make(chan struct{})
	w.Sim.Fail(func(r *http.Request) bool {
		if apiCalls(r) {
			<-hold
		}
		return false
	}, consolesim.Fault{})
	p := open(t, w, "", browsertest.Options{})
	waitForElement(p, ".skeleton[aria-busy=true]")
	close(hold)
	waitForElement(p, "h1")
}

// TestBrowserShowsPartialData fails the robots of one department: the other figures are shown, and the page says what
// is missing.
func TestBrowserShowsPartialData(t *testing.T) {
	t.Parallel()
	w := world(t)
	d := w.Sim.Data()
	w.Sim.Fail(func(r *http.Request) bool {
		return r.URL.Path == "/openapi/robots" && r.Header.Get("DepartmentId") == d.MainDepartmentID()
	}, consolesim.Fault{Status: http.StatusInternalServerError})
	t.Run("overview", func(t *testing.T) {
		p := open(t, w, "", browsertest.Options{})
		waitForElement(p, "details.notice.partial")
		waitForElement(p, ".departments .chip.fail")
		p.Wait("figures that are lower bounds", figures+`.Silent.startsWith('≥')`)
		waitForText(p, "Queues by load")
	})
	t.Run("department", func(t *testing.T) {
		p := open(t, w, departmentOf(d), browsertest.Options{})
		waitForElement(p, "details.notice.partial")
		waitForText(p, "The robots could not be read.")
		waitForElement(p, ".workflows a")
	})
}

// refreshUntil presses the button Refresh until a condition holds.
func refreshUntil(p *browsertest.Page, condition string) {
	p.Wait(condition, condition+` || (document.querySelector('.freshness button:not(:disabled)')?.click(), false)`)
}

// TestBrowserShowsStaleData loses the console while the page is open: the page says how old the figures are.
func TestBrowserShowsStaleData(t *testing.T) {
	t.Parallel()
	w := world(t, func(s *gateway.Settings, _ *consolesim.Server) { s.Cache = "on" })
	p := open(t, w, departmentOf(w.Sim.Data()), browsertest.Options{})
	waitForElement(p, ".live.live")
	cancel := w.Sim.Fail(apiCalls, consolesim.Fault{Status: http.StatusServiceUnavailable})
	refreshUntil(p, `document.querySelector('.notice.stale') !== null`)
	waitForElement(p, ".robots li")
	cancel()
	refreshUntil(p, `document.querySelector('.notice') === null`)
}

// TestBrowserKeepsLastData loses the gateway's caches, too, and then the gateway: the last figures stay, and the page
// says so. It goes on when the console is back.
func TestBrowserKeepsLastData(t *testing.T) {
	t.Parallel()
	w := world(t)
	p := open(t, w, departmentOf(w.Sim.Data()), browsertest.Options{})
	waitForElement(p, ".live.live")
	cancel := w.Sim.Fail(apiCalls, consolesim.Fault{Status: http.StatusServiceUnavailable})
	refreshUntil(p, `document.querySelector('.notice.failed') !== null`)
	waitForElement(p, ".robots li")
	cancel()
	refreshUntil(p, `document.querySelector('.notice') === null`)
}

// TestBrowserReconnects breaks the connections to the gateway. The page says so. When the gateway is back, it
// follows the robots again, with the changes made meanwhile.
func TestBrowserReconnects(t *testing.T) {
	t.Parallel()
	w := world(t)
	d := w.Sim.Data()
	robots := d.RobotIDs(d.MainDepartmentID())
	robot, gone := robots[0], robots[1]
	w.Sim.SetRobotStatus(robot, "Ready")
	proxy := tcpproxy.New(t, strings.TrimPrefix(w.URL, "http://"))
	p := browsertest.Open(t, "http://"+proxy.Addr(), browsertest.Options{Path: "/dashboard/" + departmentOf(d), Unreliable: true})
	waitForElement(p, ".live.live")
	proxy.Refuse()
	proxy.Reset()
	waitForElement(p, ".live.interrupted")
	refreshUntil(p, `document.querySelector('.notice.failed') !== null`)
	waitForText(p, "The gateway does not answer")
	w.Sim.SetRobotStatus(robot, "Busy")
	w.Sim.RemoveRobot(gone)
	if err := proxy.Restore(); err != nil {
		t.Fatal(err)
	}
	waitForElement(p, ".live.live")
	waitForElement(p, fmt.Sprintf("[data-robot=%q][data-status=BUSY]", robot))
	refreshUntil(p, `document.querySelector('.notice') === null`)
	p.Wait("the robot is gone", fmt.Sprintf("document.querySelector('[data-robot=%q]') === null", gone))
}

// outcome is the outcome that the workflow's screen shows.
const outcome = `document.querySelector('[data-outcome]').dataset.outcome`

// TestBrowserExecutes presses the button, with faults of the console. Jobs counts what the console has started.
func TestBrowserExecutes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault   consolesim.Fault
		want    string
		again   []string // the buttons that are pressed then
		wantEnd string   // the last outcome
		jobs    int
	}{
		"once":                {want: "STARTED", jobs: 1},
		"twice":               {want: "STARTED", again: []string{"Execute"}, wantEnd: "STARTED", jobs: 2},
		"refused":             {fault: consolesim.Fault{Status: http.StatusBadRequest, Detail: "The workflow is paused."}, want: "REFUSED"},
		"the answer is lost":  {fault: consolesim.Fault{Drop: true, After: true, Times: 1}, want: "UNKNOWN", again: []string{"Ask again with the same key"}, wantEnd: "UNKNOWN", jobs: 1},
		"the request is lost": {fault: consolesim.Fault{Drop: true, Times: 1}, want: "UNKNOWN", again: []string{"Ask again with the same key", "Execute with a new key"}, wantEnd: "STARTED", jobs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			if tt.fault.Status != 0 || tt.fault.Drop {
				w.Sim.Fail(executions, tt.fault)
			}
			p := open(t, w, workflowOf(w.Sim.Data()), browsertest.Options{})
			waitForElement(p, ".execute button")
			press := func(label string) string {
				p.Wait("the button "+label, `document.querySelector('.execute button:not(:disabled)')?.innerText === "`+label+`"`)
				p.Do(chromedp.Click(chromedp.CSS(".execute button")))
				p.Wait("an outcome", outcome+` !== ""`)
				return browsertest.Read[string](p, outcome)
			}
			if got := press("Execute"); got != tt.want {
				t.Errorf("the outcome is %q, not %q", got, tt.want)
			}
			for i, label := range tt.again {
				if got := press(label); i == len(tt.again)-1 && got != tt.wantEnd {
					t.Errorf("the last outcome is %q, not %q", got, tt.wantEnd)
				}
			}
			if n := len(w.Sim.Data().Jobs()); n != tt.jobs {
				t.Errorf("the console has started %d jobs, not %d", n, tt.jobs)
			}
		})
	}
}

const axePath = "../../../examples/dashboard/web/node_modules/axe-core/axe.min.js"

// TestBrowserIsAccessible runs axe-core on each screen, in both schemes and at 400 pixels, and looks for horizontal
// scrolling.
func TestBrowserIsAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(axePath)
	if err != nil {
		t.Fatalf("this test needs axe-core, which `make test` installs: %v", err)
	}
	w := world(t)
	d := w.Sim.Data()
	closed := world(t, func(s *gateway.Settings, _ *consolesim.Server) { s.Anonymous = false })
	failing := world(t)
	failing.Sim.Fail(executions, consolesim.Fault{Drop: true})
	for name, tt := range map[string]struct {
		url, screen, ready string
		options            browsertest.Options
		dark               bool
	}{
		"overview":              {w.URL, "", ".live.live", browsertest.Options{}, false},
		"overview, dark":        {w.URL, "", ".live.live", browsertest.Options{Dark: true}, true},
		"overview, small":       {w.URL, "", ".live.live", browsertest.Options{Width: 400, Height: 800}, false},
		"department, small":     {w.URL, departmentOf(d), ".live.live", browsertest.Options{Width: 400, Height: 800}, false},
		"department, dark":      {w.URL, departmentOf(d), ".live.live", browsertest.Options{Dark: true}, true},
		"workflow, dark, small": {w.URL, workflowOf(d), ".live.live", browsertest.Options{Width: 400, Height: 800, Dark: true}, true},
		"workflow":              {w.URL, workflowOf(d), ".live.live", browsertest.Options{}, false},
		"lost answer":           {failing.URL, workflowOf(d), ".live.live", browsertest.Options{}, false},
		"lost answer, dark":     {failing.URL, workflowOf(d), ".live.live", browsertest.Options{Dark: true}, true},
		"sign-in, small":        {closed.URL, "", ".sign-in", browsertest.Options{Width: 400, Height: 800}, false},
		"sign-in, dark":         {closed.URL, "", ".sign-in", browsertest.Options{Dark: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tt.options.Path = "/dashboard/" + tt.screen
			p := browsertest.Open(t, tt.url, tt.options)
			waitForElement(p, tt.ready)
			if strings.Contains(tt.screen, workflowOf(d)) {
				p.Do(chromedp.Click(chromedp.CSS(".execute button")))
				p.Wait("an outcome", outcome+` !== ""`)
			}
			browsertest.Read[bool](p, string(axe)+`; true`)
			found := browsertest.Read[[]string](p, `axe.run().then(r => r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical')
				.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')))`)
			if diff := cmp.Diff([]string{}, found); diff != "" {
				t.Errorf("axe-core finds:\n%s", diff)
			}
			if wide := browsertest.Read[bool](p, `document.documentElement.scrollWidth > innerWidth`); wide {
				t.Error("the page scrolls horizontally")
			}
			if dark := browsertest.Read[bool](p, `getComputedStyle(document.body).backgroundColor === 'rgb(13, 18, 29)'`); dark != tt.dark {
				t.Errorf("dark: %v", dark)
			}
		})
	}
}
