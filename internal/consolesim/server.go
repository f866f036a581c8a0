package consolesim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Defaults of Options.
const (
	DefaultSeed          = 1
	DefaultPageClamp     = 500
	DefaultTokenLifetime = time.Hour
)

// Options describe the simulated console. The zero value is a small console without faults on
// free loopback ports.
type Options struct {
	// Seed determines the data, including identifiers. Default DefaultSeed.
	Seed uint64
	// Scale is the total number of workflows; packages, queues and robots grow with it. The
	// minimum, and the default, is the smallest data set of about 120 workflows.
	Scale int
	// Departments is the least number of departments of all companies together. The smallest data set has 29.
	Departments int
	// Irregular adds packages without workflows, queues without robots, robots without queues or heartbeats, outdated
	// workflows, layouts with deleted workflows, and a department that answers 403.
	Irregular bool
	// APIAddr, SSOAddr and StorageAddr are listen addresses, default "127.0.0.1:0" each.
	APIAddr, SSOAddr, StorageAddr string
	// Latency is added to every call of the API gateway and of the SSO. Concurrent calls do
	// not add up.
	Latency time.Duration
	// PageClamp is the maximum page size; larger requests are silently reduced. Default DefaultPageClamp.
	PageClamp int
	// Dialect chooses the form of the answers.
	Dialect Dialect
	// NoIDs makes lists silently ignore the Ids parameter, and StartTime and EndTime except on
	// packages.
	NoIDs bool
	// NoAssociatedRobotIDs omits associatedRobotIds from workflows.
	NoAssociatedRobotIDs bool
	// UnknownEnums replaces a quarter of all enum values by names or numbers that are not in
	// the document.
	UnknownEnums bool
	// TokenLifetime is the life of an access token, default DefaultTokenLifetime.
	TokenLifetime time.Duration
	// ForbiddenDepartments are departments whose scope is always answered with 403.
	ForbiddenDepartments []string
	// Now is the clock, default time.Now.
	Now func() time.Time
	// Logger gets one debug line per request without any secret; default: discarded.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	const anyPort = "127.0.0.1:0"
	if o.Seed == 0 {
		o.Seed = DefaultSeed
	}
	for _, addr := range []*string{&o.APIAddr, &o.SSOAddr, &o.StorageAddr} {
		if *addr == "" {
			*addr = anyPort
		}
	}
	if o.PageClamp <= 0 {
		o.PageClamp = DefaultPageClamp
	}
	if o.TokenLifetime <= 0 {
		o.TokenLifetime = DefaultTokenLifetime
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Server is a running console.
type Server struct {
	opts      Options
	st        *store
	log       *journal
	faults    faults
	secrets   *secretLog
	sso       *ssoState
	forbidden map[string]bool

	apiURL, ssoURL, storageURL string

	servers   []*http.Server
	cancel    context.CancelFunc
	unwatch   func() bool
	running   sync.WaitGroup // accept loops
	conns     sync.WaitGroup // connections
	closeOnce sync.Once
	closeErr  error
}

// Start seeds the data and serves it on three listeners until [Server.Close] or until ctx is done. It fails if an
// address cannot be listened on or if there is no randomness for the signing key.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{opts: o, log: newJournal(), secrets: &secretLog{set: map[string]struct{}{}}, forbidden: map[string]bool{}}
	for _, id := range o.ForbiddenDepartments {
		s.forbidden[strings.ToLower(id)] = true
	}
	var err error
	if s.sso, err = newSSO(); err != nil {
		return nil, err
	}
	var started time.Time
	if o.Irregular {
		started = o.Now()
	}
	s.st = seed(o, started)
	for _, u := range s.st.users {
		s.secrets.add(u.Password)
	}
	for _, it := range s.st.robots.byID {
		s.secrets.add(it.v.ClientSecret, it.v.ConnectionString, it.v.LicensePoolKey)
	}

	base, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	for _, l := range []struct {
		addr    string
		url     *string
		handler func() http.Handler
	}{
		{o.SSOAddr, &s.ssoURL, func() http.Handler { return s.handler(s.ssoRoutes(), o.Latency) }},
		{o.APIAddr, &s.apiURL, func() http.Handler { return s.handler(s.apiRoutes(), o.Latency) }},
		{o.StorageAddr, &s.storageURL, func() http.Handler { return s.handler(s.storageRoutes(), 0) }},
	} {
		if err := s.listen(base, l.addr, l.url, l.handler()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.unwatch = context.AfterFunc(ctx, func() { _ = s.shutdown() }) // Close reports the error
	return s, nil
}

func (s *Server) listen(base context.Context, addr string, url *string, h http.Handler) error {
	ln, err := new(net.ListenConfig).Listen(base, "tcp", addr)
	if err != nil {
		return fmt.Errorf("consolesim: listen on %s: %w", addr, err)
	}
	*url = "http://" + ln.Addr().String()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.conns.Done()
			case http.StateActive, http.StateIdle:
			}
		},
	}
	s.servers = append(s.servers, srv)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.opts.Logger.Error("consolesim: listener stopped", "error", err)
		}
	}()
	return nil
}

// Close stops listening, aborts running requests and returns when all goroutines of the server
// have ended. Further calls only return the same error.
func (s *Server) Close() error {
	if s.unwatch != nil {
		s.unwatch()
	}
	return s.shutdown()
}

func (s *Server) shutdown() error {
	s.closeOnce.Do(func() {
		errs := make([]error, 0, len(s.servers))
		for _, srv := range s.servers {
			errs = append(errs, srv.Close())
		}
		s.cancel() // wakes waiting handlers; their connections are closed
		s.running.Wait()
		s.conns.Wait()
		key, _ := s.sso.signer()
		pregeneratedKeys.put(key)
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// APIURL is the base URL of the API gateway, without a trailing slash.
func (s *Server) APIURL() string { return s.apiURL }

// SSOURL is the base URL of the single sign-on service, without a trailing slash.
func (s *Server) SSOURL() string { return s.ssoURL }

// StorageURL is the base URL of the object storage of upload channels, without a trailing
// slash.
func (s *Server) StorageURL() string { return s.storageURL }
