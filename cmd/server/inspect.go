package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/commandline"
	"github.com/consoleql/consoleql/internal/compatibility"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/healthcheck"
)

type configCommand struct {
	gateway.Settings
	Check bool `env:"-" help:"Check the settings, their files, the SSO, the console and Redis instead, and report all findings. Each service account logs in once. The exit status is 1 if something fails."`

	wrong []string // findings of the parser
}

// report checks everything that the settings name. It returns an error if something fails.
func (c *configCommand) report(ctx context.Context, s stdio) error {
	var r compatibility.Report
	for _, text := range c.wrong {
		r.Fail("settings", "%s", text)
	}
	for _, v := range s.unknown {
		r.Warn("settings", "%s is unknown and is ignored; the nearest is %s", v.Name, v.Nearest)
	}
	gateway.Check(ctx, &c.Settings, &r)
	if err := r.Write(s.out); err != nil {
		return err
	}
	if n := r.Failures(); n > 0 {
		return fmt.Errorf("%d of %d findings are failures", n, len(r.Findings))
	}
	return nil
}

// Run prints the settings in force as environment variables with secrets masked.
func (c *configCommand) Run(ctx context.Context, k *kong.Context, s stdio) error {
	if c.Check {
		return c.report(ctx, s)
	}
	for _, v := range s.unknown {
		if _, err := fmt.Fprintf(s.log, "consoleql: %s is an unknown setting and is ignored; the nearest is %s\n", v.Name, v.Nearest); err != nil {
			return err
		}
	}
	durations, err := c.InForce()
	if err != nil {
		return err
	}
	return commandline.WriteVariables(s.out, k.Selected().Flags, durations)
}

type apiKeyCommand struct{}

// Run generates an API key and prints it with the hash for the key file. The key is not stored.
func (apiKeyCommand) Run(s stdio) error {
	key, hash := apikey.New()
	_, err := fmt.Fprintf(s.out, "key:  %s\nhash: %s\n", key, hash)
	return err
}

type healthcheckCommand struct {
	Listen      string `default:"${listen}" help:"Address of the gateway's public listener."`
	TLSCertFile string `name:"tls-cert-file" help:"File of the listener's certificate. Empty: the listener speaks no TLS." placeholder:"FILE"`
}

// Run exits with an error unless the gateway is healthy.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	return healthcheck.Run(ctx, c.Listen, c.TLSCertFile != "")
}
