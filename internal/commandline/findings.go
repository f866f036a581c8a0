package commandline

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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
		if failed, ok := errors.AsType[*kong.ParseError](err); ok {
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
