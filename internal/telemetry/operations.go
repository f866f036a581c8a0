package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxOperationNames bounds the operations that metrics tell apart.
const MaxOperationNames = 10

// maxClients bounds the clients that each metric tells apart. The file of API keys may name more.
const maxClients = 50

// Bounds of the combinations of label values.
const (
	maxRequests = 18
	maxAnswered = 120
	maxErrors   = 90
)

// operationMetrics holds the metrics of requests and operations.
type operationMetrics struct {
	named          func(operation string) bool
	requests       limitedHistogram
	durations      limitedHistogram
	answered       limitedCounter
	failures       limitedCounter
	seconds        limitedCounter
	calls          prometheus.Histogram
	budgetExceeded prometheus.Counter
	unplanned      prometheus.Counter
}

// The range of durations covers cached answers and timeouts of the console.
func operationBuckets() []float64 {
	return []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 10, 30}
}

func (m *operationMetrics) register(r prometheus.Registerer, named func(string) bool) {
	m.named = named
	m.requests = newLimitedHistogram(prometheus.HistogramOpts{
		Name:    "consoleql_http_request_duration_seconds",
		Help:    "Requests answered on the public listener, by route, method (GET, POST, other) and status.",
		Buckets: operationBuckets(),
	}, maxRequests, []string{"route", "method", "status"}, 1, 2) // the router bounds the routes
	m.durations = newLimitedHistogram(prometheus.HistogramOpts{
		Name: "consoleql_operation_duration_seconds",
		Help: "Queries and mutations that were executed, by type and by name: those of CONSOLEQL_METRIC_OPERATIONS and of trusted documents, ten in all, else other. " +
			"Those with a cached answer are in consoleql_answers_total.",
		Buckets: operationBuckets(),
	}, MaxOperationNames+4, []string{"type", "graphql_operation"}, 1)
	m.answered = newLimitedCounter(prometheus.CounterOpts{
		Name: "consoleql_operations_total",
		Help: "Operations that were answered, and events of subscriptions, by client (name of the API key, else the kind of caller), " +
			"type and name; cached answers included.",
	}, maxAnswered, []string{"client", "type", "graphql_operation"}, 0, 2)
	m.failures = newLimitedCounter(prometheus.CounterOpts{
		Name: "consoleql_operation_errors_total",
		Help: "Answers with errors, by type of operation (empty: it was refused before that was known), code and client; an answer with several codes counts for each.",
	}, maxErrors, []string{"type", "code", "client"}, 2)
	m.seconds = newLimitedCounter(prometheus.CounterOpts{
		Name: "consoleql_client_operation_seconds_total",
		Help: "Duration of executed queries and mutations, by client.",
	}, maxClients, []string{"client"}, 0)
	m.calls = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "consoleql_operation_console_calls",
		Help:    "Calls of the console that an executed query or mutation made.",
		Buckets: []float64{0, 1, 5, 20, 100, 500, 2000},
	})
	m.budgetExceeded = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_operation_budget_spent_total",
		Help: "Operations and events that needed more calls or reads than they may make (CONSOLEQL_MAX_CONSOLE_CALLS, maxConsoleCalls of an API key).",
	})
	m.unplanned = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "consoleql_unplanned_loads_total",
		Help: "Loads that look-ahead did not plan.",
	})
	r.MustRegister(m.requests.vec, m.durations.vec, m.answered.vec, m.failures.vec, m.seconds.vec, m.calls, m.budgetExceeded, m.unplanned)
}

// Request counts an HTTP request. route is a pattern, never a path.
func (m *Metrics) Request(route, method string, status int, d time.Duration) {
	if method != http.MethodGet && method != http.MethodPost {
		method = Other
	}
	m.operations.requests.observe(d.Seconds(), route, method, strconv.Itoa(status))
}

// KnownMethod returns the method of a request, or other: callers can invent methods.
func KnownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch:
		return method
	default:
		return Other
	}
}

// Operation is an operation that was answered or refused, or one event of a subscription.
type Operation struct {
	// Client is the name of the caller's API key, else the kind of the caller. It must not be a text that callers choose.
	Client string
	// Type is query, mutation or subscription; empty: the operation was refused before that was known.
	Type string
	// Name is the operation's name, as the caller chose it.
	Name string
	// Codes are the codes of the answer's errors, each once.
	Codes []string
	// Executed reports that the operation was executed to its end, in Duration, with this number of console calls.
	Executed     bool
	Duration     time.Duration
	ConsoleCalls int
}

// Operation counts an operation.
func (m *Metrics) Operation(o Operation) {
	name := Other
	if o.Name != "" && m.operations.named(o.Name) {
		name = o.Name
	}
	if o.Type != "" {
		m.operations.answered.add(1, o.Client, o.Type, name)
	}
	if o.Executed {
		m.operations.durations.observe(o.Duration.Seconds(), o.Type, name)
		m.operations.seconds.add(o.Duration.Seconds(), o.Client)
		m.operations.calls.Observe(float64(o.ConsoleCalls))
	}
	for _, code := range o.Codes {
		m.operations.failures.add(1, o.Type, code, o.Client)
	}
}

// BudgetExceeded counts an operation that needed more than its budget.
func (m *Metrics) BudgetExceeded() { m.operations.budgetExceeded.Inc() }

// Unplanned counts loads that the look-ahead missed.
func (m *Metrics) Unplanned(n int64) { m.operations.unplanned.Add(float64(n)) }
