package gateway

import (
	"net/http"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/telemetry"
)

const (
	// ssoConcurrency bounds the requests to the SSO in flight. It is twice the number of concurrent sign-ins.
	ssoConcurrency = 64
	// uploadConcurrency bounds the uploads in flight. Each takes as long as its client needs to send the file.
	uploadConcurrency = 64
	// rareIdleTimeout is for connections with rare or unrepeatable requests. A new connection costs less than a
	// failure on a dead one.
	rareIdleTimeout = 2 * time.Second
)

// transports holds the transports to the console, each with its own concurrency limit and connections.
type transports struct {
	console, files, sso http.RoundTripper
}

// openTransports creates the transports. Slow uploads and a hanging SSO take no slots from other calls. The upload
// storage receives only the headers that it asks for (document, section Packages: put file).
func (g *Gateway) openTransports() transports {
	console := transport.Options{Concurrency: g.settings.ConsoleConcurrency, Silence: g.settings.Silence, Log: g.connectionLog("console")}
	files := transport.Options{Concurrency: uploadConcurrency, IdleTimeout: rareIdleTimeout, Uncompressed: true, Log: g.connectionLog("storage")}
	sso := transport.Options{Concurrency: ssoConcurrency, IdleTimeout: rareIdleTimeout, Log: g.connectionLog("SSO")}
	return transports{
		console: g.traces.Transport(transport.New(console)),
		files:   transport.New(files),
		sso:     g.traces.Transport(transport.New(sso)),
	}
}

// connectionLog returns a log of failed connections to a peer. The gateway closes it.
func (g *Gateway) connectionLog(peer string) *telemetry.ConnectionLog {
	l := telemetry.NewConnectionLog(g.log, peer)
	g.connectionLogs = append(g.connectionLogs, l)
	return l
}
