package gateway

import (
	"net/http"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/telemetry"
)

const (
	// ssoConcurrency bounds the requests to the SSO under way: twice the sign-ins that may be.
	ssoConcurrency = 64
	// uploadConcurrency bounds the files under way: each is sent as fast as its client sends it.
	uploadConcurrency = 64
	// rareIdleTimeout is for connections to which requests are rare or must not be repeated: a new connection costs less
	// than one that may have died meanwhile.
	rareIdleTimeout = 2 * time.Second
)

// transports are what requests of the console are sent by, each with places and connections of its own.
type transports struct {
	console, files, sso http.RoundTripper
}

// openTransports makes them. A client that is slow with its file takes no place from calls of the console, and its
// storage gets the headers that it asks for and no others (document, section Packages: put file). An SSO that hangs takes
// none either.
func (g *gateway) openTransports() transports {
	console := transport.Options{Concurrency: g.settings.ConsoleConcurrency, Silence: g.settings.Silence, Log: g.connectionLog("console")}
	files := transport.Options{Concurrency: uploadConcurrency, IdleTimeout: rareIdleTimeout, Uncompressed: true, Log: g.connectionLog("storage")}
	sso := transport.Options{Concurrency: ssoConcurrency, IdleTimeout: rareIdleTimeout, Log: g.connectionLog("SSO")}
	return transports{
		console: g.traces.Transport(transport.New(console)),
		files:   transport.New(files),
		sso:     g.traces.Transport(transport.New(sso)),
	}
}

// connectionLog logs failed connections to a peer until the gateway ends.
func (g *gateway) connectionLog(peer string) *telemetry.ConnectionLog {
	l := telemetry.NewConnectionLog(g.log, peer)
	g.connectionLogs = append(g.connectionLogs, l)
	return l
}
