package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/gateway"
)

// findings collects the settings whose text is wrong, so that one run names all of them. The parser of kong alone
// stops at the first.
type findings map[*kong.Value]error

// mappers returns the parser's mappers, which record wrong texts and continue with the setting's default.
func (f findings) mappers() []kong.Option {
	defaults := kong.NewRegistry().RegisterDefaults()
	recording := func(t reflect.Type) kong.Mapper { return recordingMapper{defaults.ForType(t), f} }
	kind := func(t reflect.Type) kong.Option { return kong.KindMapper(t.Kind(), recording(t)) }
	duration, durations := reflect.TypeFor[time.Duration](), reflect.TypeFor[gateway.DurationsByKind]()
	return []kong.Option{
		kong.TypeMapper(duration, recording(duration)), kong.TypeMapper(durations, recording(durations)), kind(reflect.TypeFor[bool]()), kind(reflect.TypeFor[int]()), kind(reflect.TypeFor[int64]()),
		kind(reflect.TypeFor[uint64]()), kind(reflect.TypeFor[float64]()), kind(reflect.TypeFor[string]()),
	}
}

// recordingMapper is a mapper that records texts which do not parse, or which are none of the setting's values.
type recordingMapper struct {
	kong.Mapper
	findings findings
}

// Decode implements kong.Mapper.
func (m recordingMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	empty := ctx.Scan.Peek().Value == ""
	err := m.Mapper.Decode(ctx, target)
	if err == nil && target.Kind() == reflect.String && ctx.Value.Flag != nil && ctx.Value.Target.Kind() == reflect.Slice {
		target.SetString(strings.TrimSpace(target.String())) // blanks may follow the commas of a list
	}
	if err == nil && ctx.Value.Enum != "" && target.Kind() == reflect.String && !slices.Contains(ctx.Value.EnumSlice(), target.String()) {
		err = fmt.Errorf("must be one of %s but got %q", strings.Join(ctx.Value.EnumSlice(), ", "), target.String())
	}
	if err == nil {
		return nil
	}
	if empty {
		err = errors.New("it is empty: give it a value, or leave it out")
	}
	m.findings[ctx.Value] = err
	target.SetZero()
	if !ctx.Value.HasDefault {
		return nil
	}
	standard := *ctx
	standard.Scan = kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: ctx.Value.Default})
	return m.Mapper.Decode(&standard, target) //nolint:wrapcheck // the default is ours
}

// IsBool implements kong.BoolMapper: whether a flag needs no value.
func (m recordingMapper) IsBool() bool {
	b, ok := m.Mapper.(kong.BoolMapper)
	return ok && b.IsBool()
}

// lines returns the findings of the selected command in the order of its flags. Those of err, the parser's error or nil,
// follow.
func (f findings) lines(command *kong.Context, err error) []string {
	var lines []string
	if command == nil {
		var failed *kong.ParseError
		if errors.As(err, &failed) {
			command = failed.Context
		}
	}
	if command != nil {
		for _, flag := range command.Flags() {
			if found := f[flag.Value]; found != nil {
				lines = append(lines, fmt.Sprintf("--%s (%s): %v", flag.Name, strings.Join(flag.Envs, ", "), found))
			}
		}
	}
	var all interface{ Unwrap() []error } // of errors.Join
	switch {
	case err == nil:
	case errors.As(err, &all):
		for _, e := range all.Unwrap() {
			lines = append(lines, e.Error())
		}
	default:
		lines = append(lines, err.Error())
	}
	return lines
}

// injected matches the variables that Kubernetes sets in each container for a Service whose name begins with
// "consoleql" (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
func injected(name, value string) bool {
	return serviceVariable.MatchString(name) || name == "CONSOLEQL_PORT" || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

var serviceVariable = regexp.MustCompile(`_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// unknownVariable is a variable CONSOLEQL_* of the environment that is no setting of any command.
type unknownVariable struct{ name, nearest string }

// unknownVariables returns the unknown variables in the order of their names.
func unknownVariables(app *kong.Application) []unknownVariable {
	known := make(map[string]bool)
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error { // fails only if next does
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
		return next(nil)
	})
	var unknown []unknownVariable
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "CONSOLEQL_") || known[name] || injected(name, value) {
			continue
		}
		unknown = append(unknown, unknownVariable{name, nearest(name, known)})
	}
	slices.SortFunc(unknown, func(a, b unknownVariable) int { return strings.Compare(a.name, b.name) })
	return unknown
}

// nearest returns the name with the fewest edits to name, the first in order where several have as few.
func nearest(name string, known map[string]bool) string {
	best, least := "", -1
	for candidate := range known {
		edits := levenshtein.ComputeDistance(name, candidate)
		if least < 0 || edits < least || edits == least && candidate < best {
			best, least = candidate, edits
		}
	}
	return best
}
