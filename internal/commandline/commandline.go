// Package commandline parses the flags and environment variables of commands. It finds all settings that are wrong or unknown,
// and prints the settings in force with secrets masked.
package commandline

import (
	"io"

	"github.com/alecthomas/kong"
)

// Parser parses the arguments of an application.
type Parser struct {
	kong  *kong.Kong
	found findings
	exit  int // the status with which the parser ends the program; -1: it does not
}

// Parsed is the outcome of one command line.
type Parsed struct {
	// Command is the selected command; nil if there is none.
	Command *kong.Context
	// Exit is the status with which the program ends after --help or --version; -1: the command runs.
	Exit int
	// Wrong are the findings, a line each: settings that are wrong, in the order of the flags, and other errors.
	Wrong []string
	// Unknown are the variables of the environment that are no setting.
	Unknown []UnknownVariable
}

// New returns the parser of app, a pointer to a struct as kong.New takes it.
func New(app any, options ...kong.Option) (*Parser, error) {
	p := &Parser{found: findings{}}
	var err error
	p.kong, err = kong.New(app, append(append(options, p.found.mappers()...), kong.Exit(func(code int) { p.exit = code }))...)
	return p, err
}

// Model returns the commands and their flags.
func (p *Parser) Model() *kong.Application { return p.kong.Model }

// Parse parses the arguments of one command. Help, the version and errors of the usage go to out and log. It may be called
// several times, because a parser is expensive to make.
func (p *Parser) Parse(args []string, out, log io.Writer) Parsed {
	p.kong.Stdout, p.kong.Stderr = out, log
	p.exit = -1
	clear(p.found)
	command, err := p.kong.Parse(args)
	if p.exit >= 0 {
		return Parsed{Exit: p.exit}
	}
	return Parsed{Command: command, Exit: -1, Wrong: p.found.lines(command, err), Unknown: unknownVariables(p.kong.Model)}
}
