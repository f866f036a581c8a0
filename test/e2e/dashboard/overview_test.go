package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
	"github.com/consoleql/consoleql/test/e2e"
)

// figures are the figures of the overview's tiles, by name.
const figures = `Object.fromEntries([...document.querySelectorAll('.tile')].map(tile =>
	[tile.querySelector('h2').innerText, tile.querySelector('.figure').innerText]))`

// TestBrowserLoadsOverviewInOneQuery compares the overview's figures with the console's data. Beside the query, the
// page sends one subscription.
func TestBrowserLoadsOverviewInOneQuery(t *testing.T) {
	t.Parallel()
	w := world(t)
	p := open(t, w, "", browsertest.Options{})
	waitForElement(p, "h1")
	waitForElement(p, ".live.live")

	d := w.Sim.Data()
	robots, queues, workflows := 0, 0, 0
	for _, dept := range d.Departments(d.MainCompanyID()) {
		if !dept.Refuses {
			robots += len(d.RobotIDs(dept.ID))
			queues += len(d.QueueIDs(dept.ID))
			workflows += len(d.WorkflowIDs(dept.ID))
		}
	}
	got := browsertest.Read[map[string]string](p, figures)
	if got["Robots"] != fmt.Sprint(robots) || got["Silent"] != "8" || got["Outdated workflows"] == "0" || got["Empty queues"] == "0" {
		t.Errorf("the tiles show %v of %d robots", got, robots)
	}
	text := browsertest.Read[string](p, `document.body.innerText`)
	for _, want := range []string{
		d.Companies()[1].Name, "12 departments, 1 without access", "6 silent", "never reported", "Robots by status", "Queues by load",
		fmt.Sprintf("of %d workflows", workflows), fmt.Sprintf("of %d queues", queues),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if n := operations(p); n != 2 {
		t.Errorf("the page sent %d operations, not a query and a subscription", n)
	}
	if stored := browsertest.Read[int](p, `localStorage.length + sessionStorage.length + document.cookie.length`); stored != 0 {
		t.Errorf("the page stores %d items", stored)
	}
}

// TestBrowserShowsChangedRobot changes robots at the console: the screens follow by events, without another query.
func TestBrowserShowsChangedRobot(t *testing.T) {
	t.Parallel()
	w := world(t)
	d := w.Sim.Data()
	for _, dept := range d.Departments(d.MainCompanyID()) {
		for _, id := range d.RobotIDs(dept.ID) {
			w.Sim.SetRobotStatus(id, "Ready")
		}
	}
	robot := d.RobotIDs(d.MainDepartmentID())[0]
	t.Run("department", func(t *testing.T) {
		p := open(t, w, departmentOf(d), browsertest.Options{})
		waitForElement(p, ".live.live")
		for _, status := range []string{"Busy", "Disconnected", "Ready"} {
			w.Sim.SetRobotStatus(robot, status)
			waitForElement(p, fmt.Sprintf("[data-robot=%q][data-status=%s]", robot, strings.ToUpper(status)))
		}
		if n := operations(p); n != 2 {
			t.Errorf("the page sent %d operations", n)
		}
	})
	t.Run("overview", func(t *testing.T) {
		p := open(t, w, "", browsertest.Options{})
		waitForElement(p, ".live.live")
		w.Sim.SetRobotStatus(robot, "Busy")
		p.Wait("one robot is busy", figures+`["Busy now"] === "1"`)
		if n := operations(p); n != 2 {
			t.Errorf("the page sent %d operations", n)
		}
	})
	t.Run("removed", func(t *testing.T) {
		p := open(t, w, departmentOf(d), browsertest.Options{})
		waitForElement(p, ".live.live")
		waitForElement(p, fmt.Sprintf("[data-robot=%q]", robot))
		putBack, _ := w.Sim.RemoveRobot(robot)
		defer putBack()
		p.Wait("the robot is gone", fmt.Sprintf("document.querySelector('[data-robot=%q]') === null", robot))
	})
}

func TestBrowserKeyboardNavigation(t *testing.T) {
	t.Parallel()
	w := world(t)
	p := open(t, w, "", browsertest.Options{})
	waitForElement(p, "h1")
	const focused = `document.activeElement.innerText`
	p.Do(chromedp.KeyEvent(kb.Tab))
	if got := browsertest.Read[string](p, focused); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	p.Do(chromedp.KeyEvent(kb.Enter))
	dept := w.Sim.Data().Departments(w.Sim.Data().MainCompanyID())[1].Name
	for range 20 { // company tabs, the button, then the departments
		p.Do(chromedp.KeyEvent(kb.Tab))
		if strings.HasPrefix(browsertest.Read[string](p, focused), dept) {
			break
		}
	}
	p.Do(chromedp.KeyEvent(kb.Enter))
	p.Wait("the department's screen", fmt.Sprintf("document.querySelector('h1')?.innerText === %q", dept))
}

func TestBrowserSignsIn(t *testing.T) {
	t.Parallel()
	w := world(t, e2e.WithoutAnonymous, e2e.WithoutDefaultScope)
	username, password := w.Sim.DefaultUser()
	p := open(t, w, "", browsertest.Options{})
	waitForElement(p, ".sign-in")
	send := func(password string) {
		// The page may replace the form while it loads, so that one step fills in and submits it.
		browsertest.Read[bool](p, fmt.Sprintf(`(form => {
			form.username.value = %q
			form.password.value = %q
			form.querySelector("button").click()
			return true
		})(document.querySelector("form.sign-in"))`, username, password))
	}
	send("wrong")
	waitForElement(p, ".sign-in .notice.failed")
	send(password)
	waitForElement(p, ".live.live")
	if stored := browsertest.Read[int](p, `localStorage.length + sessionStorage.length + document.cookie.length`); stored != 0 {
		t.Errorf("the page stores %d items", stored)
	}
	if text := browsertest.Read[string](p, `document.documentElement.outerHTML`); strings.Contains(text, password) {
		t.Error("the page has the password")
	}
	p.Do(chromedp.Reload())
	waitForElement(p, ".sign-in")
	send(password)
	waitForElement(p, ".live.live")
	p.Do(chromedp.Click(chromedp.CSS("header button")))
	waitForElement(p, ".sign-in")
}

func TestBrowserShowsEmptyState(t *testing.T) {
	t.Parallel()
	w := world(t)
	w.Sim.Fail(e2e.ForPath("/openapi/companies/companylist"), consolesim.Fault{Body: []byte(`{"companies":[]}`)})
	waitForText(open(t, w, "", browsertest.Options{}), "No companies")
	waitForText(open(t, w, departmentOf(w.Sim.Data()), browsertest.Options{}), "does not exist")
}
