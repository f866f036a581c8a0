package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/examples/dashboard"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/edge/graphiql/examples"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/listenaddress"
)

type demoCommand struct {
	gateway.Listeners
	IdempotencyRetention time.Duration `default:"${idempotency_retention}" help:"How long the outcome of a mutation with an idempotencyKey is kept, at least 20s."`
	gateway.Caching
	gateway.Subscriptions
	gateway.Limits
	gateway.Tracing
	gateway.Logging
	consolesim.Settings
}

// Run serves the graph in front of a simulated console until ctx is done.
func (c *demoCommand) Run(ctx context.Context, s stdio) (err error) {
	log, err := c.Logger(s.log)
	if err != nil {
		return err
	}
	defer c.Stream.Close() //nolint:contextcheck // the last lines are written though ctx has ended
	s.warn(log)
	moved := listenaddress.Free(ctx, &c.Listen) + listenaddress.Free(ctx, &c.AdminListen)
	sim, err := consolesim.Start(context.WithoutCancel(ctx), c.Options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	username, password := sim.DefaultUser()
	settings, err := gateway.DefaultSettings()
	if err != nil {
		return err
	}
	settings.Listeners, settings.Caching, settings.Subscriptions, settings.Limits = c.Listeners, c.Caching, c.Subscriptions, c.Limits
	settings.Tracing, settings.Logging, settings.IdempotencyRetention = c.Tracing, c.Logging, c.IdempotencyRetention
	settings.Account = gateway.Account{Username: username, Password: password, Anonymous: true}
	settings.ConsoleURL, settings.SSOURL = sim.APIURL(), sim.SSOURL()
	settings.CompanyID, settings.DepartmentID = sim.Data().MainCompanyID(), sim.Data().MainDepartmentID()
	if err := settings.Validate(); err != nil {
		return err
	}
	notice := fmt.Sprintf("Demo: the console is simulated, and every caller acts as its user %s without credentials. Its password is %s.", username, password)
	queries, err := examples.Demo(sim.Data(), username)
	if err != nil {
		return err
	}
	g, err := gateway.New(ctx, settings, log, gateway.Page{Examples: queries, Notice: notice, Dashboard: dashboard.Handler()})
	if err != nil {
		return err
	}
	g.Hangups = s.hangups
	fmt.Fprintf(s.out, "%s/ is GraphiQL: open it in a browser\n%s%s is the dashboard\n%s/graphql is the endpoint\n%s\n%s",
		g.URL(), g.URL(), edge.DashboardPrefix, g.URL(), notice, moved)
	return g.Run(ctx)
}

type simulateCommand struct {
	APIListen     string `name:"api-listen" env:"CONSOLEQL_SIM_API_LISTEN" default:"127.0.0.1:8081" help:"Address of the API gateway."`
	SSOListen     string `name:"sso-listen" env:"CONSOLEQL_SIM_SSO_LISTEN" default:"127.0.0.1:8082" help:"Address of the SSO."`
	StorageListen string `name:"storage-listen" env:"CONSOLEQL_SIM_STORAGE_LISTEN" default:"127.0.0.1:8083" help:"Address of the upload storage."`
	gateway.Logging
	consolesim.Settings
}

// Run simulates a console until ctx is done.
func (c *simulateCommand) Run(ctx context.Context, s stdio) error {
	log, err := c.Logger(s.log)
	if err != nil {
		return err
	}
	defer c.Stream.Close() //nolint:contextcheck // the last lines are written though ctx has ended
	s.warn(log)
	opts := c.Options()
	opts.APIAddr, opts.SSOAddr, opts.StorageAddr = c.APIListen, c.SSOListen, c.StorageListen
	opts.Logger = log
	sim, err := consolesim.Start(context.WithoutCancel(ctx), opts)
	if err != nil {
		return err
	}
	username, password := sim.DefaultUser()
	fmt.Fprintf(s.out, `%s is the API gateway
%s is the SSO
%s is the upload storage
user %s, password %s, CompanyId %s, DepartmentId %s
`, sim.APIURL(), sim.SSOURL(), sim.StorageURL(), username, password, sim.Data().MainCompanyID(), sim.Data().MainDepartmentID())
	<-ctx.Done()
	return sim.Close()
}
