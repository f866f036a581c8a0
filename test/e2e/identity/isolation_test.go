package identity

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// side is one of two principals without common data.
type side struct {
	user    consolesim.User
	company string
	dept    string
	ownData map[string]bool // ids and names of this side's data
	headers []map[string]string
	session int // index of the header with a replaceable session
}

var guidPattern = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// foreign returns marks of the other side in an answer.
func foreign(body string, other *side) []string {
	var found []string
	for _, id := range guidPattern.FindAllString(strings.ToLower(body), -1) {
		if other.ownData[id] {
			found = append(found, id)
		}
	}
	if strings.Contains(body, `"`+other.user.Username+`"`) {
		found = append(found, other.user.Username)
	}
	return found
}

// dataOf returns the ids of all data of a user's company.
func dataOf(d *consolesim.Data, u consolesim.User) map[string]bool {
	marks := map[string]bool{u.ID: true}
	for _, company := range u.CompanyIDs {
		marks[company], marks[u.Memberships[company]] = true, true
		for _, dept := range d.Departments(company) {
			marks[dept.ID] = true
			for _, ids := range [][]string{d.WorkflowIDs(dept.ID), d.PackageIDs(dept.ID), d.QueueIDs(dept.ID), d.RobotIDs(dept.ID), d.LayoutIDs(dept.ID)} {
				for _, id := range ids {
					marks[id] = true
				}
			}
		}
	}
	return marks
}

// queries returns a side's queries. id belongs to the other side and must not be found. Both
// sides use the idempotency key key.
func (s *side) queries(id, key string) []string {
	return []string{
		`{ viewer { id userId userName company { id name } assignedDepartment { id } } }`,
		`{ companies { id name viewer { id userName } departments { id } } }`,
		`{ workflows(first: 30) { totalCount nodes { id package { id } queue { id } robots { id } version { id } } } }`,
		`{ robots(first: 20) { nodes { id name department { id company { id } } } } queues(first: 5) { nodes { id workflows { nodes { id } } } } }`,
		`{ packages(first: 5) { nodes { id versions { id } latestVersion { id } workflows { totalCount } } } workflowLayouts(first: 3) { nodes { id nodes { workflow { id } } } } }`,
		fmt.Sprintf(`{ workflow(id: %q) { id name } robot(id: %q) { id name } queue(id: %q) { name } package(id: %q) { name } }`, id, id, id, id),
		fmt.Sprintf(`mutation { createQueue(input: {name: "both", idempotencyKey: %q}) { queue { id companyId departmentId createdBy company { id viewer { userName } } } } }`, key),
	}
}

// live is a side's subscription, with relations.
const live = `subscription { robotChanged { id name status companyId departmentId department { id company { id viewer { userName } } } } }`

// changeRobots changes the robots of both sides until the end of ctx.
func changeRobots(ctx context.Context, sim *consolesim.Server, sides [2]*side) {
	for n := 0; ctx.Err() == nil; n++ {
		for _, s := range sides {
			for _, id := range sim.Data().RobotIDs(s.dept) {
				sim.SetRobotStatus(id, []string{"Ready", "Busy"}[n%2])
			}
		}
		backoff.Wait(ctx, 50*time.Millisecond)
	}
}

// TestPrincipalsAreIsolated sends queries and subscriptions of two principals in random
// order. They use their own tokens, sessions and API keys, through two gateways with a common
// Redis. No answer may contain an id or a name of the other principal.
func TestPrincipalsAreIsolated(t *testing.T) {
	e2e.WithAndWithoutCache(t, checkIsolation)
}

func checkIsolation(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	store := redistest.Start(t)
	k := &e2e.Keyring{T: t}
	var sides [2]*side
	var env []string
	w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, caching, func(s *gateway.Settings, sim *consolesim.Server) {
		if s.Cache == "on" {
			env = e2e.CacheForAnHourEnv
		}
		d := sim.Data()
		for i, u := range []consolesim.User{d.SoloUser(), d.RestrictedUser()} {
			company := u.CompanyIDs[0]
			sides[i] = &side{user: u, company: company, dept: u.Assigned[company], ownData: dataOf(d, u)}
			k.Account(fmt.Sprint("side", i), u)
			sides[i].headers = append(sides[i].headers, k.Key(fmt.Sprint("side", i), fmt.Sprint("side", i), ""))
		}
		s.APIKeysFile, s.RedisURL, s.TokenKeys, s.VerifyTokens = k.Write(), store.URL(), strings.TrimPrefix(e2e.TokenKeys, "CONSOLEQL_TOKEN_KEYS="), "on"
	})
	env = append(slices.Clone(env), e2e.TokenKeys, "CONSOLEQL_POLL_INTERVAL=100ms", "CONSOLEQL_API_KEYS_FILE="+k.Write(), "CONSOLEQL_ANONYMOUS=false")
	other := e2e.NewProcess(t, w.Sim, store.URL(), env...)
	gateways := []*e2e.World{w, other.World}
	for i, s := range sides {
		for id := range sides[1-i].ownData {
			if s.ownData[id] {
				t.Fatalf("both sides know %s: they are not apart", id)
			}
		}
		s.headers = append(s.headers, w.SignIn(s.user))
		s.session = 1
	}

	// The control: an answer to one side contains marks that are foreign to the other.
	for i, s := range sides {
		a := w.Ask(s.queries("", "")[0], e2e.Request{Header: e2e.MergeHeaders(s.headers[1], e2e.ScopeHeader(s.company, s.dept))})
		if len(foreign(string(a.Body), s)) < 3 || len(foreign(string(a.Body), sides[1-i])) > 0 {
			t.Fatalf("foreign marks are not found: %s", a.Body)
		}
	}

	stirring, rest := context.WithCancel(t.Context())
	var stirred sync.WaitGroup
	stirred.Go(func() { changeRobots(stirring, w.Sim, sides) })
	defer stirred.Wait()
	defer rest()
	var events [2]atomic.Int64

	for round := range 40 {
		key := fmt.Sprint("key-", round)
		var wait sync.WaitGroup
		for range 2 + random.IntN(10) {
			i, g := random.IntN(2), gateways[random.IntN(2)]
			s, o := sides[i], sides[1-i]
			header := g.TokenHeader(s.user.Username)
			if n := random.IntN(len(s.headers) + 1); n < len(s.headers) {
				header = s.headers[n]
			}
			var id string
			for id = range o.ownData {
				break // any
			}
			all := s.queries(id, key)
			query := all[random.IntN(len(all))]
			scope := e2e.ScopeHeader(s.company, s.dept)
			if random.IntN(4) == 0 {
				scope = e2e.ScopeHeader(o.company, o.dept) // a scope without permission
			}
			follow := random.IntN(12) == 0
			wait.Go(func() {
				var a e2e.Answer
				if follow {
					ctx, cancel := context.WithTimeout(t.Context(), e2e.Timeout)
					defer cancel()
					var err error
					if a, err = firstEvent(g, ctx, live, e2e.MergeHeaders(header, scope)); err != nil {
						t.Error(err)
					}
					if len(a.Errors) == 0 && a.Body != nil {
						events[i].Add(1)
					}
				} else {
					a = g.Ask(query, e2e.Request{Header: e2e.MergeHeaders(header, scope)})
				}
				for _, e := range a.Errors {
					if follow && e.Extensions.Code == "UNAUTHENTICATED" {
						continue // its own token has ended before a change
					}
					if e.Extensions.Code != "FORBIDDEN" && (e.Extensions.Code != "CONFLICT" || !strings.Contains(query, "idempotencyKey")) {
						t.Errorf("%s: %+v", query, e)
					}
				}
				if found := foreign(string(a.Data), o); len(found) > 0 {
					t.Errorf("%s is answered with %v of %s: %s", s.user.Username, found, o.user.Username, query)
				}
			})
		}
		if random.IntN(5) == 0 {
			s := sides[random.IntN(2)]
			wait.Wait()
			w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: s.headers[s.session]})
			s.headers[s.session] = w.SignIn(s.user)
		}
		wait.Wait()
	}
	for i := range events {
		if events[i].Load() == 0 {
			t.Errorf("side %d has followed nothing", i)
		}
	}
}

// firstEvent returns the first response of a subscription over Server-Sent Events.
func firstEvent(w *e2e.World, ctx context.Context, query string, header map[string]string) (e2e.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/graphql?query="+url.QueryEscape(query), nil)
	if err != nil {
		return e2e.Answer{}, err
	}
	req.Header.Set("Accept", "text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		return e2e.Answer{}, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			a := e2e.Answer{Status: resp.StatusCode, Body: []byte(data)}
			return a, json.Unmarshal(a.Body, &a)
		}
	}
	return e2e.Answer{}, lines.Err()
}
