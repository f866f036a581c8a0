package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// rareIdleTimeout is for connections with rare or unrepeatable requests. A new connection costs less than a failure on
// a dead one.
const rareIdleTimeout = 2 * time.Second

// transports holds the transports to the console, each with its own connections.
type transports struct {
	reads, writes, files, sso http.RoundTripper
}

// of returns the transport of a class of calls.
func (t transports) of(class admission.Class) http.RoundTripper {
	switch class {
	case admission.Writes:
		return t.writes
	case admission.Uploads:
		return t.files
	case admission.SSO:
		return t.sso
	case admission.Lists, admission.Gets:
	}
	return t.reads
}

// openTransports creates the transports. A write must not be sent again, so its connections are never idle for long.
// The upload storage receives only the headers that it asks for (document, section Packages: put file). retry is the budget for
// reads that are sent again.
func (g *Gateway) openTransports(retry func() bool) transports {
	idle := g.settings.ConsoleConcurrency
	reads := transport.Options{Idle: idle, HedgeDelay: g.settings.HedgeDelay, Retry: retry, Log: g.connectionLog("console"), Authorities: g.authorities}
	writes := transport.Options{Idle: idle, IdleTimeout: rareIdleTimeout, Log: reads.Log, Authorities: g.authorities}
	files := transport.Options{Idle: admission.MaxUploads, IdleTimeout: rareIdleTimeout, Uncompressed: true, Log: g.connectionLog("storage"), Authorities: g.authorities}
	sso := transport.Options{Idle: admission.MaxSSO, IdleTimeout: rareIdleTimeout, Retry: retry, Log: g.connectionLog("SSO"), Authorities: g.authorities}
	return transports{
		reads:  g.traces.Transport(transport.New(reads)),
		writes: g.traces.Transport(transport.New(writes)),
		files:  transport.New(files),
		sso:    g.traces.Transport(transport.New(sso)),
	}
}

// toCollector returns the transport of traces, with the certificates of the environment.
func (s *Settings) toCollector(log *slog.Logger) http.RoundTripper {
	pool := transport.NewPool(1, rareIdleTimeout)
	if s.OTLPURL != "" {
		pool.TLSClientConfig = telemetry.CollectorTLS(log)
	}
	return transport.New(transport.Options{Base: pool})
}

// newAdmission creates the admission of all calls over the transports.
func (g *Gateway) newAdmission(transports transports) *admission.Controller {
	controller := admission.New(admission.Options{
		Concurrency: g.settings.ConsoleConcurrency,
		Rate:        g.settings.ConsoleRate,
		Wait:        g.settings.OperationTimeout,
		Observer:    admissionMetrics{g.metrics},
		Probe:       func(class admission.Class) { (&http.Client{Transport: transports.of(class)}).CloseIdleConnections() },
		Changed: func(operation string, open bool) {
			if open {
				g.log.Info("calls of an operation fail and are paused", "operation", operation)
				return
			}
			g.log.Info("calls of an operation work again", "operation", operation)
		},
	})
	g.metrics.Admission(func() (all []telemetry.ClassState) {
		for _, s := range controller.State() {
			all = append(all, telemetry.ClassState{Class: s.Class.String(), InFlight: s.InFlight, Limit: s.Limit, Waiting: s.Waiting, Open: s.Open})
		}
		return all
	})
	return controller
}

// admissionMetrics counts the calls of an admission.Controller.
type admissionMetrics struct{ metrics *telemetry.Metrics }

// Waited implements admission.Observer.
func (m admissionMetrics) Waited(of admission.Class, d time.Duration) {
	m.metrics.Waited(of.String(), d)
}

// Refused implements admission.Observer.
func (m admissionMetrics) Refused(of admission.Class, reason admission.Reason) {
	m.metrics.CallRefused(of.String(), reason.Name())
}

// RetryRefused implements admission.Observer.
func (m admissionMetrics) RetryRefused() { m.metrics.RetryRefused() }

// connectionLog returns a log of failed connections to a peer. The gateway closes it.
func (g *Gateway) connectionLog(peer string) *telemetry.ConnectionLog {
	l := telemetry.NewConnectionLog(g.log, peer)
	g.connectionLogs = append(g.connectionLogs, l)
	return l
}

// dialConsole creates the clients of the console.
func (g *Gateway) dialConsole() error {
	if path := g.settings.ConsoleCAFile; path != "" {
		var err error
		if g.authorities, err = transport.OpenAuthorities(path); err != nil {
			return fmt.Errorf("--console-ca-file: %w", err)
		}
	}
	s := g.settings
	var calls *admission.Controller
	transports := g.openTransports(func() bool { return calls.Retry() })
	calls = g.newAdmission(transports)
	opts := consoleclient.Options{
		APIURL:           s.ConsoleURL,
		SSOURL:           s.SSOURL,
		Permit:           permitScope,
		Transport:        transports.reads,
		WriteTransport:   transports.writes,
		FileTransport:    transports.files,
		Admission:        calls,
		Timeout:          s.ConsoleTimeout,
		WriteTimeout:     s.ConsoleWriteTimeout,
		UploadTimeout:    s.UploadTimeout,
		MaxResponseBytes: s.ConsoleMaxResponseBytes,
		Memory:           g.memory,
		QueueCreatePath:  s.ConsoleQueueCreatePath,
		Observe:          g.observeCalls(),
		Trace:            g.traceCalls(),
		Logger:           g.log,
	}
	sso := opts
	sso.Transport = transports.sso
	var err error
	if g.sso, err = consoleclient.NewSSO(sso); err != nil {
		return err
	}
	if err := g.openTokens(sso.Transport); err != nil {
		return err
	}
	opts.Tokens = g.Tokens
	g.client, err = consoleclient.New(opts)
	return err
}
