package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
	"github.com/consoleql/consoleql/test/e2e"
)

// text returns the complete text of an editor of GraphiQL, by the end of its model's name.
func text(name string) string {
	return fmt.Sprintf(`(globalThis.__MONACO?.editor.getModels().find(m => m.uri.path.endsWith(%q))?.getValue() ?? '')`, name)
}

// TestBrowserSignsInToGraphiQL signs in at the first tab of serve, and puts the session into the headers. It chooses
// company and department, runs another tab, and explains it. The browser stores no secret.
func TestBrowserSignsInToGraphiQL(t *testing.T) {
	w := e2e.NewWorld(t, consolesim.Settings{Seed: 1, PageClamp: 500, Irregular: true}.Options())
	username, password := w.Sim.DefaultUser()
	serve := start(t, `"listening"`, "serve", "--listen=127.0.0.1:0", "--admin-listen=", "--console-url="+w.Sim.APIURL(), "--sso-url="+w.Sim.SSOURL())
	url := regexp.MustCompile(`"url":"(http://[^"]+)"`).FindStringSubmatch(serve.log.String())[1]
	p := browsertest.Open(t, url, browsertest.Options{})
	run := chromedp.Click(chromedp.CSS("button.graphiql-execute-button"))
	answered := func(want string) {
		p.Wait("an answer with "+want, text("response.json")+fmt.Sprintf(`.includes(%q)`, want))
	}
	choose := func(label int, name string) {
		p.Wait("the choice "+name, fmt.Sprintf(`(() => {
			const select = document.querySelectorAll('.identity select')[%d];
			const option = [...select?.options ?? []].find(o => o.text.endsWith(%q));
			if (!option) return false;
			Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set.call(select, option.value);
			select.dispatchEvent(new Event('change', { bubbles: true }));
			return true;
		})()`, label, name))
	}

	p.Wait("the tab SignIn", text("operation.graphql")+`.includes('mutation SignIn')`)
	p.Wait("the schema", `(globalThis.__MONACO?.languages.graphql?.api?.schemas?.length ?? 0) > 0`)
	p.Do(run)
	p.Wait("the dialog", `document.querySelector('dialog.sign-in[open] input') !== null`)
	p.Do(
		chromedp.SetValue(chromedp.CSS("dialog input[name=username]"), username),
		chromedp.SetValue(chromedp.CSS("dialog input[name=password]"), password),
		chromedp.Click(chromedp.CSS("dialog button[type=submit]")),
	)
	answered("sessionToken")
	p.Do(chromedp.Click(chromedp.CSS(".identity button:not(:disabled)")))
	headers := text("request-headers.json")
	p.Wait("the session in the headers", headers+`.includes('Bearer cqs_')`)

	d := w.Sim.Data()
	p.Do(chromedp.Click(chromedp.CSS(".identity h3 ~ button:nth-of-type(2)")))
	choose(0, d.Companies()[0].Name)
	choose(1, d.Departments(d.MainCompanyID())[1].Name)
	p.Wait("the scope in the headers", headers+fmt.Sprintf(`.includes(%q)`, d.MainDepartmentID()))
	if got := browsertest.Read[string](p, headers); !strings.Contains(got, d.MainCompanyID()) || !strings.Contains(got, "Bearer cqs_") {
		t.Errorf("the headers are %s", got)
	}

	p.Do(chromedp.Click(chromedp.CSS("#graphiql-session-tab-2")))
	p.Wait("the tab Dashboard", text("operation.graphql")+`.includes('query Dashboard')`)
	p.Wait("its headers", headers+`.includes('Bearer cqs_')`)
	p.Do(chromedp.Sleep(500 * time.Millisecond)) // GraphiQL reads the operation a tenth of a second after a change
	p.Do(run)
	answered(`"totalCount": 66`)
	p.Do(chromedp.Click(chromedp.CSS(`button[aria-label^="Explain"]`)))
	answered(`"consoleCalls"`)

	// GraphiQL stores its tabs half a second after the last change.
	p.Wait("stored tabs", `(localStorage.getItem('graphiql:tabState') ?? '').includes('query Dashboard')`)
	stored := browsertest.Read[string](p, `JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie`)
	if strings.Contains(stored, "cqs_") || strings.Contains(stored, password) {
		t.Errorf("the browser stores a secret: %s", stored)
	}
}

// TestBrowserShowsDemoDashboard opens the page that demo prints.
func TestBrowserShowsDemoDashboard(t *testing.T) {
	demo := start(t, `"listening"`, "demo", "--listen=127.0.0.1:0", "--admin-listen=")
	url := demo.demoURL(t)
	if !strings.Contains(demo.out.String(), url+"/dashboard/ is the dashboard\n") {
		t.Errorf("demo printed %s", demo.out)
	}
	p := browsertest.Open(t, url, browsertest.Options{Path: "/dashboard/"})
	p.Wait("the overview", `document.querySelector('.live.live') !== null && document.querySelectorAll('.departments a').length > 10`)
}
