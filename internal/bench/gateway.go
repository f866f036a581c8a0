package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
)

// gateway is a measured process: the gateway or the ceiling.
type gateway struct {
	process *process
	url     string // of /graphql
	metrics string // empty: no metrics
}

// startGateway starts a gateway in front of a console. redisURL may be empty.
func startGateway(ctx context.Context, binary string, c *console, cache, redisURL string) (*gateway, error) {
	// Settings are passed in the environment, so that an old gateway ignores unknown ones.
	env := []string{"CONSOLEQL_CACHE=" + cache, "CONSOLEQL_REDIS_URL=" + redisURL}
	p, err := start(ctx, env, binary, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--console-url", c.api, "--sso-url", c.sso, "--log-format", "json")
	if err != nil {
		return nil, err
	}
	public, err := p.await(ctx, regexp.MustCompile(`"msg":"listening".*"url":"([^"]+)"`))
	if err == nil {
		var admin []string
		if admin, err = p.await(ctx, regexp.MustCompile(`"admin_address":"([^"]+)"`)); err == nil {
			return &gateway{p, public[1] + "/graphql", "http://" + admin[1] + "/metrics"}, nil
		}
	}
	p.stop()
	return nil, err
}

// ceilingAnswer is the answer that the ceiling's process serves.
type ceilingAnswer struct {
	Header http.Header
	Body   []byte
}

// startCeiling starts this program as the bare handler (see ServeCeiling).
func startCeiling(ctx context.Context, file string, answer ceilingAnswer) (*gateway, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("ceiling: %w", err)
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("ceiling: %w", err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, fmt.Errorf("ceiling: %w", err)
	}
	p, err := start(ctx, nil, self, "ceiling", file)
	if err != nil {
		return nil, err
	}
	at, err := p.await(ctx, regexp.MustCompile(`(http://\S+) is the ceiling\n`))
	if err != nil {
		p.stop()
		return nil, err
	}
	return &gateway{process: p, url: at[1] + "/graphql"}, nil
}
