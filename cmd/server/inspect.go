package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/compatibility"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/listenaddress"
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
		r.Warn("settings", "%s is unknown and is ignored; the nearest is %s", v.name, v.nearest)
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

// Run prints the settings in force as environment variables with secrets masked. It iterates over kong's flags, so
// that no setting is missing.
func (c *configCommand) Run(ctx context.Context, k *kong.Context, s stdio) error {
	if c.Check {
		return c.report(ctx, s)
	}
	for _, v := range s.unknown {
		if _, err := fmt.Fprintf(s.log, "consoleql: %s is an unknown setting and is ignored; the nearest is %s\n", v.name, v.nearest); err != nil {
			return err
		}
	}
	durations, err := c.InForce()
	if err != nil {
		return err
	}
	for _, flag := range k.Selected().Flags {
		value := masked(flag.Name, textOf(flag.Target.Interface()))
		if all, ok := durations[flag.Name]; ok {
			value = all.String()
		}
		for _, name := range flag.Envs {
			if _, err := fmt.Fprintf(s.out, "%s=%s\n", name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// textOf returns a setting's value in the form of an environment variable.
func textOf(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}

// masked hides secret values of a setting.
func masked(name, value string) string {
	switch name {
	case "password", "token-keys":
		if value != "" {
			return "(hidden)"
		}
	case "token-issuers", "allowed-origins":
		all := strings.Split(value, ",")
		for i, each := range all {
			if _, err := url.Parse(each); err != nil || strings.ContainsAny(each, "@?#") { // an issuer need not be a URL
				all[i] = maskedURL(each)
			}
		}
		return strings.Join(all, ",")
	}
	if strings.HasSuffix(name, "-url") {
		return maskedURL(value)
	}
	return value
}

// maskedURL hides what may be secret in a URL: the password, or else a user alone, and the query. Of a Redis URL's query,
// only passwords are hidden.
func maskedURL(value string) string {
	u, err := url.Parse(value)
	if err != nil || value != "" && (u.Scheme == "" || u.Host == "" || strings.ContainsAny(u.Path+u.Fragment, "@:") || strings.Contains(u.RawQuery, "@")) {
		return "(hidden)" // a password may be in an unexpected part
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(name, "password") || !strings.HasPrefix(u.Scheme, "redis") {
			query.Set(name, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	if _, has := u.User.Password(); u.User != nil && !has {
		u.User = url.User("xxxxx")
	}
	return u.Redacted()
}

type apiKeyCommand struct{}

// Run generates an API key and prints it with the hash for the key file. The key is not stored.
func (apiKeyCommand) Run(s stdio) error {
	key, hash := apikey.New()
	_, err := fmt.Fprintf(s.out, "key:  %s\nhash: %s\n", key, hash)
	return err
}

type healthcheckCommand struct {
	Listen      string `default:"127.0.0.1:8080" help:"Address of the gateway's public listener."`
	TLSCertFile string `name:"tls-cert-file" help:"File of the listener's certificate. Empty: the listener speaks no TLS." placeholder:"FILE"`
}

// Run exits with an error unless the gateway is healthy.
func (c *healthcheckCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	scheme, client := "http://", http.DefaultClient
	if c.TLSCertFile != "" {
		// The certificate is that of the public name, and the command asks for the address.
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // nothing secret is sent or read
		scheme, client = "https://", &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+listenaddress.Reachable(c.Listen)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}
	return nil
}
