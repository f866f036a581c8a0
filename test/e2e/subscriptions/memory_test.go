//go:build linux

package subscriptions

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

var wide = flag.Int("departments", 25, "how many departments TestLargeCompanies follows; a round of polls takes a fifth of a second for each")

// robotsEach is the number of robots of each department.
const robotsEach = 20

// wideConsole is a console whose companies have many departments. All of their robots report at each call.
type wideConsole struct {
	departments int
	others      http.Handler

	mu    sync.Mutex
	calls map[string]int // for lists of robots, by token
}

// departmentID returns the id of the i-th department.
func departmentID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

func (c *wideConsole) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	switch r.URL.Path {
	case "/openapi/departments/tree":
		form := `{"id":%q,"departmentId":%[1]q,"companyId":%q,"name":"Department","visitorHasAnyRole":true,"visitorHasPermission":true,"children":[`
		b.WriteString(`{"rootDepartment":`)
		fmt.Fprintf(&b, form, departmentID(0), r.Header.Get("CompanyId"))
		for i := 1; i < c.departments; i++ {
			if i > 1 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, form+"]}", departmentID(i), r.Header.Get("CompanyId"))
		}
		b.WriteString("]}}")
	case "/openapi/robots":
		c.mu.Lock()
		c.calls[r.Header.Get("Authorization")]++
		c.mu.Unlock()
		fmt.Fprintf(&b, `{"count":%d,"list":[`, robotsEach)
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		for i := range robotsEach {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"id":"%02d%s","name":"Robot %[1]d of the department","description":"A robot in the accounting department","status":"Ready","lastHeartbeatTime":%[3]q,"companyId":%[4]q,"departmentId":%[5]q,"sdkVersion":"4.2.100","version":"2022.10.1","licenseStatus":"ServerLicensed","clientSku":"Unattended","listeningStatus":[1],"tags":["a","b"]}`,
				i, r.Header.Get("DepartmentId")[2:], now, r.Header.Get("CompanyId"), r.Header.Get("DepartmentId"))
		}
		b.WriteString("]}")
	default:
		c.others.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(b.String())) // the gateway reports a lost answer
}

// asked returns the calls of each principal, and their sum.
func (c *wideConsole) asked() (each map[string]int, sum int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	each = make(map[string]int)
	for token, n := range c.calls {
		each[token] = n
		sum += n
	}
	return each, sum
}

// resident returns the resident memory of a process, in MiB.
func resident(t *testing.T, p *e2e.Process) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n := 0.0
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n / 1024
}

// TestLargeCompanies bounds the calls and the memory of ten principals, each of which follows the robots and
// the counts of all departments of a company.
func TestLargeCompanies(t *testing.T) {
	const principals, perSecond = 10, 5
	sim := e2e.NewSim(t, consolesim.Options{})
	target, err := url.Parse(sim.APIURL())
	if err != nil {
		t.Fatal(err)
	}
	carrier := &http.Transport{}
	c := &wideConsole{departments: *wide, calls: make(map[string]int), others: &httputil.ReverseProxy{Transport: carrier, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}}
	console := httptest.NewServer(c)
	t.Cleanup(func() {
		console.Close()
		carrier.CloseIdleConnections()
	})
	p := e2e.NewProcess(t, sim, "", "CONSOLEQL_CONSOLE_URL="+console.URL, "CONSOLEQL_CACHE=on", "CONSOLEQL_ANONYMOUS=false")
	before := resident(t, p)
	user, _ := sim.DefaultUser()
	company := sim.Data().MainCompanyID()
	for range principals {
		s := p.Socket(p.TokenHeader(user))
		s.Subscribe("events", fmt.Sprintf(`subscription { robotEvents(companyId: %q) { type robot { id status } } }`, company))
		s.Subscribe("counts", fmt.Sprintf(`subscription { robotCountsChanged(companyId: %q) { total silent byStatus { count } } }`, company))
		if a := s.Next("counts"); string(a.Data) != fmt.Sprintf(`{"robotCountsChanged":{"total":%d,"silent":0,"byStatus":[{"count":0},{"count":%[1]d},{"count":0},{"count":0}]}}`, robotsEach**wide) {
			t.Fatalf("got %s", a.Body)
		}
		go func() { // else the gateway's pings remain unanswered; it ends with the connection
			for {
				if _, _, err := s.Conn.Read(t.Context()); err != nil {
					return
				}
			}
		}()
	}
	e2e.Await(t, "the first polls", func() bool { each, sum := c.asked(); return len(each) == principals && sum >= principals**wide })
	first, firstSum := c.asked()
	began := time.Now()
	// All first polls end together, so that the second ones begin after a round, and take another.
	const rounds = 2
	for deadline := began.Add(e2e.Timeout + (rounds+1)*time.Duration(*wide)*time.Second/perSecond); ; time.Sleep(100 * time.Millisecond) {
		if _, sum := c.asked(); sum >= firstSum+rounds*principals**wide {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d further polls in %v", sum-firstSum, time.Since(began))
		}
	}
	each, sum := c.asked()
	took := time.Since(began).Seconds()
	after := resident(t, p)
	t.Logf("%d departments, %d robots: %.1f calls a second of each principal; %.0f MiB resident, %.0f MiB before", *wide, *wide*robotsEach, float64(sum-firstSum)/took/principals, after, before)
	for token, n := range each {
		if n -= first[token]; float64(n) > perSecond*took+perSecond {
			t.Errorf("a principal's subscriptions made %d calls in %.1f s", n, took)
		}
	}
	entities := principals * *wide * robotsEach
	if bound := before + 64 + float64(entities)*8/1024; after > bound {
		t.Errorf("%.0f MiB are resident, more than %.0f MiB for %d robots", after, bound, entities)
	}
}
