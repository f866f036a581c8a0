package oracle

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

var (
	oracleTime = flag.Duration("oracle", 0, "how long TestAnswersMatchOracle plays with each console; 0: some rounds")
	oracleSeed = flag.Uint64("oracle-seed", 0, "what TestAnswersMatchOracle begins with; 0: something new")
)

// TestAnswersMatchOracle compares the gateway's answers with the oracle's. It generates
// operations by different users, alone and concurrent, with and without caches, after changes,
// for consoles of different dialects.
func TestAnswersMatchOracle(t *testing.T) {
	t.Parallel()
	type options = consolesim.Options
	type dialect = consolesim.Dialect
	for name, tt := range map[string]arrangement{
		"uncached":          {console: options{Irregular: true}},
		"cached":            {console: options{Irregular: true}, cached: true},
		"two replicas":      {console: options{Irregular: true}, cached: true, replicas: true},
		"small pages":       {console: options{PageClamp: 10, NoIDs: true, NoAssociatedRobotIDs: true}, cached: true},
		"as the document":   {console: options{Irregular: true, Dialect: dialect{PascalKeys: true, NoExtraFields: true, WrapSingle: true, DeleteReturnsEntity: true}}, cached: true},
		"numbers for names": {console: options{PageClamp: 25, UnknownEnums: true, Dialect: dialect{EnumIntegers: true, ConditionIntegers: true, BareSingle: true, EmptyExecute: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := *oracleSeed
			if seed == 0 {
				seed = rand.Uint64()
			}
			for end := time.Now().Add(*oracleTime); ; seed++ {
				if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newComparison(t, seed, tt).run(6) }) || time.Now().After(end) {
					return
				}
			}
		})
	}
}

// arrangement is a console with gateways in front of it.
type arrangement struct {
	console          consolesim.Options
	cached, replicas bool
}

// maxErrors is how many errors an answer lists.
const maxErrors = 100

// comparison compares a gateway with the oracle.
type comparison struct {
	*e2e.World
	*rand.Rand
	oracle  *oracle
	target  *targetDepartment
	names   *names
	worlds  []*e2e.World // replicas, of which World is one
	cached  bool
	began   time.Time
	clock   atomic.Int64 // milliseconds of the console's clock since it began
	earlier []request
	counts  struct{ asked, failing, changed, refused int }
}

// request is an operation with its user and scope.
type request struct {
	operation
	user   string // a user of the console; "" is the default account
	header map[string]string
	named  requestScope
}

// targetDepartment is the department in which mutations are made.
type targetDepartment struct {
	data *consolesim.Data
	id   string
}

func (d *targetDepartment) workflows() []string { return d.data.WorkflowIDs(d.id) }
func (d *targetDepartment) queues() []string    { return d.data.QueueIDs(d.id) }
func (d *targetDepartment) packages() []string  { return d.data.PackageIDs(d.id) }
func (d *targetDepartment) robots() []string    { return d.data.RobotIDs(d.id) }
func (d *targetDepartment) layouts() []string   { return d.data.LayoutIDs(d.id) }

func newComparison(t *testing.T, seed uint64, a arrangement) *comparison {
	t.Helper()
	c := &comparison{Rand: rand.New(rand.NewPCG(seed, 1)), cached: a.cached, began: time.Now().Truncate(time.Second)}
	// Robots change at whole seconds. The clock advances by a millisecond with each change, so
	// that robots stay equal.
	console := a.console
	console.Now = func() time.Time { return c.began.Add(time.Duration(c.clock.Load()) * time.Millisecond) }
	console.Seed = 1 + seed%3
	redis := ""
	if a.replicas {
		redis = redistest.Start(t).URL()
	}
	adjust := func(s *gateway.Settings, sim *consolesim.Server) {
		s.LogLevel, s.RedisURL = "warn", redis
		s.CompanyID, s.DepartmentID = sim.Data().MainCompanyID(), sim.Data().MainDepartmentID()
		s.Username, s.Password = sim.DefaultUser()
		if a.cached {
			e2e.WithCache(s, sim)
		}
	}
	c.World = e2e.NewWorld(t, console, adjust)
	c.worlds = []*e2e.World{c.World}
	if a.replicas {
		c.worlds = append(c.worlds, c.SecondGateway(adjust))
	}
	parsed, err := gqlparser.LoadSchema(schema.Sources()...)
	if err != nil {
		t.Fatal(err)
	}
	c.oracle = &oracle{t: t, sim: c.Sim, schema: parsed, http: c.Client, tokens: make(map[string]string), answers: make(map[string]response)}
	c.target = &targetDepartment{c.Sim.Data(), c.Sim.Data().MainDepartmentID()}
	return c
}

func (c *comparison) generator() *generator {
	if c.names == nil {
		c.names = namesOf(c.Sim.Data())
	}
	return newGenerator(c.Rand, c.oracle.schema, c.names)
}

// run sends some rounds of concurrent operations, often with a change in between.
func (c *comparison) run(rounds int) {
	c.T.Helper()
	for range rounds {
		requests := make([]request, 1+c.IntN(4))
		for i := range requests {
			requests[i] = c.request()
		}
		c.compareAll(requests)
		if c.IntN(3) > 0 {
			c.change()
		}
		if c.T.Failed() {
			return
		}
	}
	c.T.Logf("%+v", c.counts)
}

// request returns a new request or a previous one.
func (c *comparison) request() request {
	if len(c.earlier) > 0 && c.IntN(10) < 3 {
		return c.earlier[c.IntN(len(c.earlier))]
	}
	q := request{operation: c.generator().Query()}
	data := c.Sim.Data()
	main, solo := data.MainCompanyID(), data.SoloUser()
	companies := data.Companies()
	company := companies[c.IntN(len(companies))]
	departments := data.Departments(company.ID)
	department := departments[c.IntN(len(departments))].ID
	switch n := c.IntN(100); {
	case n < 60:
	case n < 80:
		q.named = requestScope{company.ID, department}
	case n < 85:
		q.named = requestScope{company: company.ID}
	case n < 93:
		q.user = data.RestrictedUser().Username
	case n < 95:
		q.user, q.named = data.RestrictedUser().Username, requestScope{main, department} // mostly refused
	case n < 99:
		q.user, q.named = solo.Username, requestScope{company: solo.CompanyIDs[0]}
	default:
		q.user = solo.Username
	}
	q.header = e2e.ScopeHeader(q.named.company, q.named.department)
	if q.user != "" {
		q.header = e2e.MergeHeaders(q.header, c.TokenHeader(q.user))
	}
	c.earlier = append(c.earlier, q)
	return q
}

// compareAll sends all requests concurrently and compares each answer.
func (c *comparison) compareAll(requests []request) {
	c.T.Helper()
	answers := c.answers(requests)
	for i, a := range answers {
		c.compare(requests[i], a, change{})
	}
}

func (c *comparison) answers(requests []request) []e2e.Answer {
	c.T.Helper()
	answers := make([]e2e.Answer, len(requests))
	var all sync.WaitGroup
	for i, q := range requests {
		w := c.worlds[c.IntN(len(c.worlds))]
		all.Go(func() { answers[i] = w.Ask(q.text, e2e.Request{Header: q.header, Variables: q.variables}) })
	}
	all.Wait()
	return answers
}

// change makes a change during other reads, which may show the state before or after it. A
// query that was answered before must show the change afterwards.
func (c *comparison) change() {
	c.T.Helper()
	if !c.cached && c.IntN(3) == 0 {
		c.changeRobots()
		return
	}
	m := c.generator().mutation(c.target)
	q, witness := request{operation: m.operation}, request{operation: c.generator().witness(m)}
	c.compareAll([]request{witness})
	c.clock.Add(1)
	answers := c.answers([]request{q, c.request(), c.request()})
	c.oracle.forget()
	c.names = nil
	a := answers[0]
	c.counts.changed++
	if slices.ContainsFunc(a.Errors, func(e e2e.GraphError) bool { return e.FieldPath() == m.field }) {
		c.counts.refused++ // no change was made, which the next requests verify
		return
	}
	if len(m.ids) == 0 {
		var made map[string]struct{ Created struct{ ID string } }
		if err := json.Unmarshal(a.Data, &made); err != nil {
			c.T.Fatalf("%s is answered by %s", m.text, a.Body)
		}
		m.ids = []string{made[m.field].Created.ID}
	}
	c.compare(q, a, m)
	for _, w := range c.worlds {
		c.compare(witness, w.Ask(witness.text, e2e.Request{Variables: witness.variables}), change{})
	}
}

// changeRobots changes the status of some robots at the console, which a gateway without cache shows at once.
func (c *comparison) changeRobots() {
	for range 3 {
		g := c.generator()
		c.Sim.SetRobotStatus(oneOf(g, c.target.robots()...), oneOf(g, "Disconnected", "Ready", "Busy", ""))
	}
	c.oracle.forget()
}

// compare compares an answer with the oracle's: data and errors.
func (c *comparison) compare(q request, a e2e.Answer, m change) {
	c.T.Helper()
	doc, errs := gqlparser.LoadQueryWithRules(c.oracle.schema, q.text, rules.NewDefaultRules())
	if len(errs) > 0 {
		c.T.Fatalf("%v in %s", errs, q.text)
	}
	data := c.Sim.Data()
	e := &execution{
		oracle: c.oracle, user: q.user, named: q.named, fragments: doc.Fragments, now: c.began,
		fallback: requestScope{data.MainCompanyID(), data.MainDepartmentID()},
	}
	if e.user == "" {
		e.user, _ = c.Sim.DefaultUser()
	}
	if m.field != "" {
		payload, err := e.payloadOf(m, e.fallback)
		if err != nil {
			c.T.Fatalf("after %s: %v", m.field, err)
		}
		e.payload = payload
	}
	want := e.Answer(doc.Operations[0], q.variables)
	got, err := ordered(json.NewDecoder(bytes.NewReader(a.Data)))
	if err != nil && len(a.Data) > 0 {
		c.T.Fatal(err)
	}
	var failures []string
	for _, e := range a.Errors {
		failures = append(failures, e.FieldPath()+" "+e.Extensions.Code)
	}
	slices.Sort(failures)
	if n := len(e.failures); n > maxErrors { // the answer lists the first ones, and one more error tells the number of the rest
		failures = slices.DeleteFunc(failures, func(f string) bool { return strings.HasPrefix(f, " ") })
		e.failures = slices.DeleteFunc(e.failures, func(f string) bool { return !slices.Contains(failures, f) })
		if len(failures) != maxErrors {
			c.T.Errorf("%d of %d errors are listed", len(failures), n)
		}
	}
	c.counts.asked++
	if len(failures) > 0 {
		c.counts.failing++
	}
	diff := difference(want, got, "data") + cmp.Diff(e.failures, failures)
	if diff != "" {
		variables, _ := json.Marshal(q.variables)
		c.T.Errorf("%s\nwith %s, as %q in %v: - want + answered:\n%.4000s\nerrors: %+v", q.text, variables, q.user, q.named, diff, a.Errors)
	}
}

// difference returns the first difference of two answers. cmp takes too long for deeply nested
// lists.
func difference(want, got any, path string) string {
	switch want := want.(type) {
	case record:
		got, ok := got.(record)
		for i := range min(len(want), len(got)) {
			if want[i].Key != got[i].Key {
				break
			}
			if diff := difference(want[i].Value, got[i].Value, path+"."+want[i].Key); diff != "" {
				return diff
			}
		}
		if ok && slices.EqualFunc(want, got, func(a, b pair) bool { return a.Key == b.Key }) {
			return ""
		}
	case []any:
		got, ok := got.([]any)
		for i := range min(len(want), len(got)) {
			if diff := difference(want[i], got[i], fmt.Sprint(path, ".", i)); diff != "" {
				return diff
			}
		}
		if ok && len(want) == len(got) {
			return ""
		}
	case anyTime:
		if text, ok := got.(string); ok && !parseTime(text).IsZero() {
			return ""
		}
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%s:\n- %.1500v\n+ %.1500v\n", path, want, got)
}

// ordered decodes a JSON value and keeps the order of members.
func ordered(dec *json.Decoder) (any, error) {
	dec.UseNumber()
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := record{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := ordered(dec)
			if err != nil {
				return nil, err
			}
			o = append(o, pair{key.(string), value})
		}
		_, err = dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			value, err := ordered(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = dec.Token()
		return list, err
	default:
		return token, nil
	}
}
