// Package dashboard tests the example dashboard in Chromium.
package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// The addresses of the screens, below /dashboard/.
func departmentOf(d *consolesim.Data) string {
	return "#/" + d.MainCompanyID() + "/" + d.MainDepartmentID()
}

func workflowOf(d *consolesim.Data) string {
	return departmentOf(d) + "/" + d.WorkflowIDs(d.MainDepartmentID())[0]
}

// world has a console with irregular data.
func world(t *testing.T, adjust ...func(*gateway.Settings, *consolesim.Server)) *e2e.World {
	t.Helper()
	return e2e.NewWorld(t, consolesim.Options{Irregular: true}, adjust...)
}

// open opens a screen of the dashboard.
func open(t *testing.T, w *e2e.World, screen string, o browsertest.Options) *browsertest.Page {
	t.Helper()
	o.Path = "/dashboard/" + screen
	return browsertest.Open(t, w.URL, o)
}

// waitForElement waits until the page has an element.
func waitForElement(p *browsertest.Page, selector string) {
	p.Wait(selector, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// waitForText waits until the page has a text.
func waitForText(p *browsertest.Page, text string) {
	p.Wait("the page says "+text, fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// operations counts the requests to the endpoint.
func operations(p *browsertest.Page) int {
	n := 0
	for _, address := range p.Requests() {
		if strings.HasSuffix(address, "/graphql") {
			n++
		}
	}
	return n
}
