package commandline_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/commandline"
	"github.com/consoleql/consoleql/internal/gateway"
)

// app has one command, with flags of several types.
type app struct {
	Serve struct {
		Wait    time.Duration           `default:"1s" help:"Wait."`
		Mode    string                  `enum:"on,off" default:"on" help:"Mode."`
		Names   []string                `help:"Names."`
		Life    gateway.DurationsByKind `help:"Life."`
		Depth   int                     `default:"3" help:"Depth."`
		BaseURL string                  `name:"base-url" help:"URL."`

		Password string `help:"Password."`
	} `cmd:""`
}

// parse parses the arguments of the command serve.
func parse(t *testing.T, args ...string) commandline.Parsed {
	t.Helper()
	var a app
	p, err := commandline.New(&a, kong.Name("test"), kong.DefaultEnvars("CONSOLEQL"))
	if err != nil {
		t.Fatal(err)
	}
	return p.Parse(append([]string{"serve"}, args...), io.Discard, io.Discard)
}

func TestWrong(t *testing.T) {
	t.Setenv("CONSOLEQL_WAIT", "soon")
	parsed := parse(t, "--mode=maybe", "--depth=", "--life=robots=1x")
	want := []string{
		`--wait (CONSOLEQL_WAIT): expected duration but got "soon": time: invalid duration "soon"`,
		`--mode (CONSOLEQL_MODE): must be one of on, off but got "maybe"`,
		`--life (CONSOLEQL_LIFE): robots: time: unknown unit "x" in duration "1x"`,
		`--depth (CONSOLEQL_DEPTH): it is empty: give it a value, or leave it out`,
	}
	if parsed.Exit != -1 || !slices.Equal(parsed.Wrong, want) {
		t.Errorf("exit %d, found\n%s\nwant\n%s", parsed.Exit, strings.Join(parsed.Wrong, "\n"), strings.Join(want, "\n"))
	}
	if parsed = parse(t, "--cheese"); len(parsed.Wrong) == 0 {
		t.Error("an unknown flag is not found")
	}
}

// TestParseAgain verifies that a command line does not see the findings and the exit of the one before.
func TestParseAgain(t *testing.T) {
	var a app
	p, err := commandline.New(&a, kong.DefaultEnvars("CONSOLEQL"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if parsed := p.Parse([]string{"--help"}, &out, io.Discard); parsed.Exit != 0 || out.Len() == 0 {
		t.Errorf("exit %d, printed %q", parsed.Exit, &out)
	}
	if parsed := p.Parse([]string{"serve", "--depth=x"}, io.Discard, io.Discard); len(parsed.Wrong) != 1 {
		t.Errorf("found %q", parsed.Wrong)
	}
	parsed := p.Parse([]string{"serve", "--names=a, b"}, io.Discard, io.Discard)
	if parsed.Exit != -1 || len(parsed.Wrong) != 0 || parsed.Command.Command() != "serve" || !slices.Equal(a.Serve.Names, []string{"a", "b"}) {
		t.Errorf("exit %d, found %q, names %q", parsed.Exit, parsed.Wrong, a.Serve.Names)
	}
}

func TestUnknown(t *testing.T) {
	for _, name := range []string{"CONSOLEQL_DEPTHS", "CONSOLEQL_MODES", "CONSOLEQL_DEPTH", "CONSOLEQL_SERVICE_HOST"} {
		t.Setenv(name, "1")
	}
	t.Setenv("CONSOLEQL_ADMIN_PORT", "tcp://10.0.0.1:80")
	parsed := parse(t)
	want := []commandline.UnknownVariable{{Name: "CONSOLEQL_DEPTHS", Nearest: "CONSOLEQL_DEPTH"}, {Name: "CONSOLEQL_MODES", Nearest: "CONSOLEQL_MODE"}}
	if !slices.Equal(parsed.Unknown, want) {
		t.Errorf("found %v", parsed.Unknown)
	}
}

func TestWriteVariables(t *testing.T) {
	for address, want := range map[string]string{
		"":                            "",
		"http://console.example":      "http://console.example",
		"http://u:CANARY@h/":          "http://u:xxxxx@h/",
		"http://CANARY@h/":            "http://xxxxx@h/",
		"http://h/?t=CANARY":          "http://h/?t=xxxxx",
		"redis://h/0?a=b&password=CA": "redis://h/0?a=b&password=xxxxx",
		"CANARY@h":                    "(hidden)",
	} {
		parsed := parse(t, "--password=CANARY", "--base-url="+address, "--names=a,b", "--life=robots=1s")
		if address == "" {
			parsed = parse(t, "--password=CANARY", "--names=a,b", "--life=robots=1s")
		}
		if len(parsed.Wrong) > 0 {
			t.Fatal(parsed.Wrong)
		}
		var out bytes.Buffer
		inForce := map[string]gateway.DurationsByKind{"life": {"robots": time.Second, "queues": time.Minute}}
		if err := commandline.WriteVariables(&out, parsed.Command.Selected().Flags, inForce); err != nil {
			t.Fatal(err)
		}
		lines := "CONSOLEQL_WAIT=1s\nCONSOLEQL_MODE=on\nCONSOLEQL_NAMES=a,b\nCONSOLEQL_LIFE=queues=1m0s,robots=1s\nCONSOLEQL_DEPTH=3\nCONSOLEQL_BASE_URL=" + want + "\nCONSOLEQL_PASSWORD=(hidden)\n"
		if out.String() != lines {
			t.Errorf("%s is written as\n%s\nwant\n%s", address, &out, lines)
		}
	}
}
