package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// consoleMetrics holds the metrics of console calls.
type consoleMetrics struct {
	calls     limitedCounter
	durations limitedHistogram
	byClient  limitedCounter
	waits     *prometheus.HistogramVec
	refused   *prometheus.CounterVec
	retries   prometheus.Counter
	grants    limitedCounter
}

const (
	// maxOperations bounds the console's operations whose durations have their own series.
	maxOperations = 40
	// maxOutcomes bounds the combinations of operation, status and code.
	maxOutcomes = 200
	// maxGrants bounds the combinations of service account and outcome.
	maxGrants = 40
)

func (m *consoleMetrics) register(r prometheus.Registerer) {
	m.calls = newLimitedCounter(prometheus.CounterOpts{
		Name: "consoleql_console_calls_total",
		Help: "Calls of the console, by the operation of its document, the status of the answer (0: there was none) and the code of the error: empty for none, cancelled where nobody waited any more.",
	}, maxOutcomes, []string{"operation", "status", "code"}, 0, 1)
	m.durations = newLimitedHistogram(prometheus.HistogramOpts{
		Name:    "consoleql_console_call_duration_seconds",
		Help:    "Duration of calls of the console, retries included, by the operation of its document.",
		Buckets: []float64{0.02, 0.1, 0.5, 2, 10, 30},
	}, maxOperations, []string{"operation"}, 0)
	m.byClient = newLimitedCounter(prometheus.CounterOpts{
		Name: "consoleql_client_console_calls_total",
		Help: "Calls of the console by the client that needed them first: the name of its API key, else its kind.",
	}, maxClients, []string{"client"}, 0)
	m.waits = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "consoleql_console_wait_seconds",
		Help:    "How long calls of the console waited for their permits, by class: lists, gets, writes, uploads, sso.",
		Buckets: []float64{0.001, 0.01, 0.1, 1, 10},
	}, []string{"class"})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "consoleql_console_calls_refused_total",
		Help: "Calls of the console that were not sent, by class and reason: open (the breaker of the operation), paused (the console asked to wait), busy (no permit in time), crowded (too many operations of one caller wait).",
	}, []string{"class", "reason"})
	m.retries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_console_retry_budget_spent_total",
		Help: "Calls that failed and were not repeated, because too many calls had been repeated before.",
	})
	m.grants = newLimitedCounter(prometheus.CounterOpts{
		Name: "consoleql_grants_total",
		Help: "Attempts of service accounts to obtain a token from the SSO, by account and outcome: granted, refused, locked, or unavailable where the SSO gave no answer.",
	}, maxGrants, []string{"account", "outcome"}, 0)
	r.MustRegister(m.calls.vec, m.durations.vec, m.byClient.vec, m.waits, m.refused, m.retries, m.grants.vec)
}

// Call counts a finished console call. client is that of Operation.Client. status is 0 if there was no response; code is
// empty on success.
func (m *Metrics) Call(client, operation string, status int, code string, d time.Duration) {
	m.console.calls.add(1, operation, knownStatus(status), code)
	m.console.durations.observe(d.Seconds(), operation)
	m.console.byClient.add(1, client)
}

// knownStatus bounds the label values that the console can create.
func knownStatus(status int) string {
	if status != 0 && http.StatusText(status) == "" {
		return Other
	}
	return strconv.Itoa(status)
}

// Waited records how long a call of a class waited for its permit.
func (m *Metrics) Waited(class string, d time.Duration) {
	m.console.waits.WithLabelValues(class).Observe(d.Seconds())
}

// CallRefused counts a call of a class that was not sent.
func (m *Metrics) CallRefused(class, reason string) {
	m.console.refused.WithLabelValues(class, reason).Inc()
}

// RetryRefused counts a call that was not repeated, because the retry budget is spent.
func (m *Metrics) RetryRefused() { m.console.retries.Inc() }

// Grant counts an attempt of a service account to obtain a token from the SSO.
func (m *Metrics) Grant(account, outcome string) { m.console.grants.add(1, account, outcome) }

// ClassState is the state of one class of console calls.
type ClassState struct {
	// Class is the name of the class.
	Class string
	// InFlight is the number of calls that hold a permit. Limit is the current number of permits, and Waiting the number
	// of calls that wait for one.
	InFlight, Limit, Waiting int
	// Open is the number of operations whose circuit breaker is not closed.
	Open int
}

// Admission registers gauges for the classes of console calls. state is called for each scrape.
func (m *Metrics) Admission(state func() []ClassState) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"class"}, nil)
	}
	for _, s := range state() { // a counter that begins at 1 hides its first increase
		for _, reason := range []string{"open", "paused", "busy", "crowded"} {
			m.console.refused.WithLabelValues(s.Class, reason)
		}
	}
	m.registry.MustRegister(&admissionCollector{
		state:    state,
		inFlight: describe("consoleql_console_calls_in_flight", "Calls of the console under way, by class."),
		limit:    describe("consoleql_console_places", "Calls of a class that may be under way at present. It falls while the console fails or slows down."),
		waiting:  describe("consoleql_console_calls_waiting", "Calls that wait for a permit, by class."),
		open:     describe("consoleql_console_breakers_open", "Operations whose circuit breaker is open or tests the console, by class."),
	})
}

type admissionCollector struct {
	state                          func() []ClassState
	inFlight, limit, waiting, open *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (a *admissionCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{a.inFlight, a.limit, a.waiting, a.open} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (a *admissionCollector) Collect(to chan<- prometheus.Metric) {
	for _, s := range a.state() {
		for d, n := range map[*prometheus.Desc]int{a.inFlight: s.InFlight, a.limit: s.Limit, a.waiting: s.Waiting, a.open: s.Open} {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), s.Class)
		}
	}
}
