// Command server is ConsoleQL: one typed GraphQL graph in front of an RPA console's REST API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/buildinfo"
	"github.com/consoleql/consoleql/internal/commandline"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/examples"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/memorytuning"
	"github.com/consoleql/consoleql/internal/processsignals"
	"github.com/consoleql/consoleql/internal/telemetry"
)

func main() {
	memorytuning.SampleAllocations()
	telemetry.SilenceLibraries()
	ctx, stop := processsignals.UntilStopped(context.Background(), gateway.ErrTerminated)
	hangups, ignore := processsignals.OnHangup()
	processsignals.SurviveLostReaders()
	code := runCommand(ctx, os.Args[1:], stdio{out: os.Stdout, log: os.Stderr, hangups: hangups})
	ignore()
	stop()
	os.Exit(code)
}

// commands holds the subcommands of the command line.
type commands struct {
	Serve       serveCommand       `cmd:"" default:"withargs" help:"Serve the graph (the default)."`
	Demo        demoCommand        `cmd:"" help:"Serve the graph in front of a simulated console, in one process and without credentials."`
	Simulate    simulateCommand    `cmd:"" help:"Run the simulated console alone."`
	Schema      schemaCommand      `cmd:"" help:"Print the schema in the schema definition language."`
	Check       checkCommand       `cmd:"" help:"Print what the documents of manifests cost, against a simulated console. Fail where a document is invalid or over a budget."`
	Config      configCommand      `cmd:"" help:"Print the settings in force, secrets masked."`
	Version     versionCommand     `cmd:"" help:"Print the version of the program, the commit that it was built from, and the version of Go."`
	APIKey      apiKeyCommand      `cmd:"" name:"api-key" help:"Make an API key: print it, and its hash for the file of API keys."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit with status 0 if a gateway serves at --listen, for containers."`

	ShowVersion kong.VersionFlag `name:"version" env:"-" help:"Print the version and exit."`
}

// stdio holds a command's output and log, and the unknown variables of its environment. Each signal on hangups reloads the
// files that the gateway watches; nil: no reload.
type stdio struct {
	out, log io.Writer
	hangups  <-chan os.Signal
	unknown  []commandline.UnknownVariable
}

// warn logs the unknown variables, without their values.
func (s stdio) warn(log *slog.Logger) {
	for _, v := range s.unknown {
		log.Warn("an unknown setting is ignored", "variable", v.Name, "nearest", v.Nearest)
	}
}

// runCommand runs the program and returns its exit status when ctx is done or the command has ended.
func runCommand(ctx context.Context, args []string, s stdio) int {
	p, err := newProgram()
	if err != nil {
		fmt.Fprintln(s.log, "consoleql:", err)
		return 1
	}
	return p.run(ctx, args, s)
}

// program has all commands and their parser.
type program struct {
	app    commands
	parser *commandline.Parser
}

// newProgram returns a program, which parses command lines.
func newProgram() (*program, error) {
	p := &program{}
	var err error
	p.parser, err = commandline.New(&p.app,
		kong.Name("consoleql"),
		kong.Description("One typed GraphQL graph in front of an RPA console's REST API.\n\nEvery flag is also an environment variable: --console-url is CONSOLEQL_CONSOLE_URL. A flag wins."),
		kong.DefaultEnvars("CONSOLEQL"),
		gateway.Defaults(),
		kong.Vars(consolesim.Defaults()),
		kong.Vars{"version": buildinfo.Read().String()},
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	return p, err
}

// run runs one command. Tests run several, because a parser is expensive to make.
func (p *program) run(ctx context.Context, args []string, s stdio) int {
	stderr := s.log
	parsed := p.parser.Parse(args, s.out, stderr)
	if parsed.Exit >= 0 {
		return parsed.Exit
	}
	s.unknown, p.app.Config.wrong = parsed.Unknown, parsed.Wrong
	if len(parsed.Wrong) > 0 {
		if c := &p.app.Config; c.Check {
			if err := c.report(ctx, s); err != nil {
				fmt.Fprintln(stderr, "consoleql:", err)
			}
			return 1
		}
		for _, line := range parsed.Wrong {
			fmt.Fprintln(stderr, "consoleql:", line)
		}
		return 2
	}
	parsed.Command.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Command.Run(s); err != nil && !errors.Is(err, context.Canceled) {
		if to, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(to, syscall.EPIPE) {
			return 1 // the reader of the output has left, such as head
		}
		fmt.Fprintln(stderr, "consoleql:", err)
		return 1
	}
	return 0
}

type serveCommand struct{ gateway.Settings }

// Run serves until ctx is done.
func (c *serveCommand) Run(ctx context.Context, s stdio) error {
	log, err := c.Logger(s.log)
	if err != nil {
		return err
	}
	defer c.Stream.Close() //nolint:contextcheck // the last lines are written though ctx has ended
	s.warn(log)
	c.Fit(memorytuning.Tune(log), log)
	first, err := examples.Serve()
	if err != nil {
		return err
	}
	g, err := gateway.New(ctx, &c.Settings, log, gateway.Page{Examples: first})
	if err != nil {
		return err
	}
	g.Hangups = s.hangups
	return g.Run(ctx)
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(s stdio) error {
	_, err := fmt.Fprintln(s.out, buildinfo.Read())
	return err
}

type schemaCommand struct {
	Federation bool `env:"-" help:"Print the schema as a subgraph of Apollo Federation 2, for the composition of a supergraph."`
}

// Run prints the schema.
func (c *schemaCommand) Run(s stdio) error {
	sdl := schema.SDL
	if c.Federation {
		sdl = schema.SubgraphSDL
	}
	_, err := io.WriteString(s.out, sdl())
	return err
}
