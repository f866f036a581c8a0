package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestFindingsAreReportedTogether verifies that one run names each wrong setting, in the order of the flags.
func TestFindingsAreReportedTogether(t *testing.T) {
	t.Setenv("CONSOLEQL_CONSOLE_TIMEOUT", "soon")
	t.Setenv("CONSOLEQL_CONSOLE_IDS", "maybe")
	t.Setenv("CONSOLEQL_CACHE_LIFE", "robots=1x")
	t.Setenv("CONSOLEQL_CONSOLE_CONCURRENCY", "")
	t.Setenv("CONSOLEQL_LISTEN", "")
	t.Setenv("CONSOLEQL_AUDIT_LOG", "")
	t.Setenv("CONSOLEQL_TOKEN_ISSUERS", "")
	t.Setenv("CONSOLEQL_METRIC_OPERATIONS", "One, Two, No name")
	t.Setenv("CONSOLEQL_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.0.0/16")
	const want = `consoleql: --console-ids (CONSOLEQL_CONSOLE_IDS): must be one of auto, on, off but got "maybe"
consoleql: --console-timeout (CONSOLEQL_CONSOLE_TIMEOUT): expected duration but got "soon": time: invalid duration "soon"
consoleql: --console-concurrency (CONSOLEQL_CONSOLE_CONCURRENCY): it is empty: give it a value, or leave it out
consoleql: --cache-life (CONSOLEQL_CACHE_LIFE): robots: time: unknown unit "x" in duration "1x"
consoleql: --max-depth (CONSOLEQL_MAX_DEPTH): expected a valid 64 bit int but got "x"
consoleql: --allowed-origins: "dashboards" is no origin such as https://dashboards.example
consoleql: --listen is no address such as 127.0.0.1:8080
consoleql: --username needs --password or --password-file
consoleql: --audit-log is empty: give log, off or a file
consoleql: --metric-operations: "No name" is no name of an operation
consoleql: --max-fields must be positive
consoleql: --console-rate must not be negative
`
	for range 20 { // the order must not be that of a map
		var out, log bytes.Buffer
		args := []string{"serve", "--max-depth=x", "--allowed-origins=dashboards", "--username=u", "--max-fields=0", "--console-rate=-1"}
		if code := run(t.Context(), args, &out, &log); code != 2 {
			t.Fatalf("exit status %d", code)
		}
		if log.String() != want {
			t.Fatalf("said\n%s\nwant\n%s", &log, want)
		}
	}
}

// TestFindingsInOtherCommands verifies that a command ignores the settings of others.
func TestFindingsInOtherCommands(t *testing.T) {
	t.Setenv("CONSOLEQL_SCALE", "large")
	t.Setenv("CONSOLEQL_MAX_DEPTH", "x")
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"schema"}, &out, &log); code != 0 {
		t.Errorf("exit status %d: %s", code, &log)
	}
}

func TestUnknownVariables(t *testing.T) {
	for name, value := range map[string]string{
		"CONSOLEQL_CONSOL_URL": "http://console.example",
		"CONSOLEQL_REDIS":      "redis://me:hunter2@redis.example",
		// A Service named consoleql, and one named consoleql-admin.
		"CONSOLEQL_SERVICE_HOST": "10.0.0.1", "CONSOLEQL_SERVICE_PORT": "8080", "CONSOLEQL_SERVICE_PORT_HTTP": "8080",
		"CONSOLEQL_PORT": "tcp://10.0.0.1:8080", "CONSOLEQL_PORT_8080_TCP": "tcp://10.0.0.1:8080", "CONSOLEQL_PORT_8080_TCP_PROTO": "tcp",
		"CONSOLEQL_PORT_8080_TCP_PORT": "8080", "CONSOLEQL_PORT_8080_TCP_ADDR": "10.0.0.1",
		"CONSOLEQL_ADMIN_SERVICE_HOST": "10.0.0.2", "CONSOLEQL_ADMIN_PORT": "tcp://10.0.0.2:9090", "CONSOLEQL_ADMIN_PORT_9090_TCP": "tcp://10.0.0.2:9090",
		// Settings of other commands.
		"CONSOLEQL_SIM_API_LISTEN": "127.0.0.1:0", "CONSOLEQL_SCALE": "3",
	} {
		t.Setenv(name, value)
	}
	const want = `consoleql: CONSOLEQL_CONSOL_URL is an unknown setting and is ignored; the nearest is CONSOLEQL_CONSOLE_URL
consoleql: CONSOLEQL_REDIS is an unknown setting and is ignored; the nearest is CONSOLEQL_REDIS_URL
`
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"config"}, &out, &log); code != 0 || log.String() != want {
		t.Errorf("exit status %d, said\n%s\nwant\n%s", code, &log, want)
	}
	serve := start(t, `"listening"`, "serve", "--listen=127.0.0.1:0", "--admin-listen=", "--console-url=http://127.0.0.1:1", "--sso-url=http://127.0.0.1:1", "--log-format=json")
	if text := serve.log.String(); strings.Count(text, "unknown setting") != 2 || strings.Contains(text, "hunter2") || !strings.Contains(text, `"variable":"CONSOLEQL_CONSOL_URL","nearest":"CONSOLEQL_CONSOLE_URL"`) {
		t.Errorf("serve logged\n%s", text)
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		var out, log bytes.Buffer
		if code := run(t.Context(), args, &out, &log); code != 0 || !strings.HasPrefix(out.String(), "consoleql (devel) ") {
			t.Errorf("%v: exit status %d, printed %q, %s", args, code, &out, &log)
		}
	}
}
