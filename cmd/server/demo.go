package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/consoleql/consoleql/examples/dashboard"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/listenaddress"
)

// simulation holds the settings of a simulated console.
type simulation struct {
	Seed                 uint64        `default:"1" help:"The same seed gives the same data, ids included."`
	Scale                int           `default:"0" help:"Number of workflows in all, for a large console; 0 is a small one made by hand."`
	Irregular            bool          `default:"true" negatable:"" help:"Add what consoles have after some years: packages without workflows, queues without robots, robots without queues or heartbeats, outdated workflows, layouts with deleted workflows, and a department that refuses."`
	Latency              time.Duration `default:"0s" help:"Time added to each call of the simulated console."`
	TokenLifetime        time.Duration `default:"1h" help:"Life of the simulated console's access tokens."`
	PageClamp            int           `default:"500" help:"Largest page that the simulated console serves, in entities."`
	IgnoreIDs            bool          `name:"ignore-ids" help:"Let lists ignore the Ids parameter silently."`
	NoAssociatedRobotIDs bool          `name:"no-associated-robot-ids" help:"Let workflows come without the ids of their robots."`
	Dialect              []string      `enum:"pascal-keys,enum-integers,condition-integers,wrap-single,bare-single,empty-execute,delete-returns-entity,delete-status-ok,expires-in-string,no-extra-fields,correct-spelling" help:"Forms in which the simulated console answers, joined by commas (${enum})."`
}

// Validate checks what the flags' types cannot.
func (s simulation) Validate() error {
	switch {
	case s.Scale < 0:
		return errors.New("--scale must not be negative")
	case s.Latency < 0:
		return errors.New("--latency must not be negative")
	case s.TokenLifetime <= 0:
		return errors.New("--token-lifetime must be positive")
	case s.PageClamp <= 0:
		return errors.New("--page-clamp must be positive")
	}
	return nil
}

func (s simulation) options() consolesim.Options {
	return consolesim.Options{
		Seed:                 s.Seed,
		Scale:                s.Scale,
		Irregular:            s.Irregular,
		Latency:              s.Latency,
		TokenLifetime:        s.TokenLifetime,
		PageClamp:            s.PageClamp,
		NoIDs:                s.IgnoreIDs,
		NoAssociatedRobotIDs: s.NoAssociatedRobotIDs,
		Dialect: consolesim.Dialect{
			PascalKeys:          slices.Contains(s.Dialect, "pascal-keys"),
			EnumIntegers:        slices.Contains(s.Dialect, "enum-integers"),
			ConditionIntegers:   slices.Contains(s.Dialect, "condition-integers"),
			WrapSingle:          slices.Contains(s.Dialect, "wrap-single"),
			BareSingle:          slices.Contains(s.Dialect, "bare-single"),
			EmptyExecute:        slices.Contains(s.Dialect, "empty-execute"),
			DeleteReturnsEntity: slices.Contains(s.Dialect, "delete-returns-entity"),
			DeleteStatusOK:      slices.Contains(s.Dialect, "delete-status-ok"),
			ExpiresInString:     slices.Contains(s.Dialect, "expires-in-string"),
			NoExtraFields:       slices.Contains(s.Dialect, "no-extra-fields"),
			CorrectSpelling:     slices.Contains(s.Dialect, "correct-spelling"),
		},
	}
}

type demoCommand struct {
	gateway.Listeners
	IdempotencyRetention time.Duration `default:"${idempotency_retention}" help:"How long the outcome of a mutation with an idempotencyKey is kept."`
	gateway.Caching
	gateway.Watching
	gateway.Limits
	gateway.Tracing
	gateway.Logging
	simulation
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
	sim, err := consolesim.Start(context.WithoutCancel(ctx), c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	username, password := sim.DefaultUser()
	settings, err := gateway.DefaultSettings()
	if err != nil {
		return err
	}
	settings.Listeners, settings.Caching, settings.Watching, settings.Limits = c.Listeners, c.Caching, c.Watching, c.Limits
	settings.Tracing, settings.Logging, settings.IdempotencyRetention = c.Tracing, c.Logging, c.IdempotencyRetention
	settings.Account = gateway.Account{Username: username, Password: password, Anonymous: true}
	settings.ConsoleURL, settings.SSOURL = sim.APIURL(), sim.SSOURL()
	settings.CompanyID, settings.DepartmentID = sim.Data().MainCompanyID(), sim.Data().MainDepartmentID()
	if err := settings.Validate(); err != nil {
		return err
	}
	notice := fmt.Sprintf("Demo: the console is simulated, and every caller acts as its user %s without credentials. Its password is %s.", username, password)
	queries, err := demoExamples(sim.Data(), username)
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
	simulation
}

// Run simulates a console until ctx is done.
func (c *simulateCommand) Run(ctx context.Context, s stdio) error {
	log, err := c.Logger(s.log)
	if err != nil {
		return err
	}
	defer c.Stream.Close() //nolint:contextcheck // the last lines are written though ctx has ended
	s.warn(log)
	opts := c.options()
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
