package querylimit

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/internal/fault"
)

// Rules for literals that graphql-js 16 has and gqlparser 2.5.64 lacks.
const (
	ruleLexical = "LexicalGrammar"
	ruleNumbers = "NumbersAreInRange"
)

// literals corrects the literals of a document, and refuses invalid ones.
type literals struct {
	blocks map[int]string      // values of block strings, by the position of their token
	wrong  map[*ast.Value]bool // literals to be reported
	found  map[*ast.Value]bool // all invalid literals, reported or not
	refuse func(rule string, at *ast.Position, message, argument string)
}

// observe registers a visitor that corrects each literal before the rules see it. It reports
// an invalid one when its argument is known.
func (l literals) observe(events *core.Events) {
	events.OnValue(func(_ *core.Walker, v *ast.Value) { l.correct(v) })
	events.OnField(func(_ *core.Walker, f *ast.Field) {
		for _, a := range f.Arguments {
			l.report(a.Value, a.Name)
		}
	})
	events.OnDirective(func(_ *core.Walker, d *ast.Directive) {
		for _, a := range d.Arguments {
			l.report(a.Value, a.Name)
		}
	})
	events.OnVariable(func(_ *core.Walker, v *ast.VariableDefinition) { l.report(v.DefaultValue, v.Variable) })
}

// correct converts a literal to its declared type (GraphQL specification, section 3.5). A
// number may be an ID or a Float of any size, or else has 32 bits.
func (l literals) correct(v *ast.Value) {
	var err error
	switch v.Kind {
	case ast.BlockValue:
		if text, ok := l.blocks[v.Position.Start]; ok {
			v.Raw = text
		}
	case ast.IntValue:
		switch {
		case isType(v, "ID"):
			v.Kind = ast.StringValue
		case isType(v, "Float"):
			v.Kind = ast.FloatValue
			l.correct(v)
		case isType(v, "Int"):
			_, err = strconv.ParseInt(v.Raw, 10, 32)
		default:
			_, err = strconv.ParseInt(v.Raw, 10, 64)
		}
	case ast.FloatValue:
		_, err = strconv.ParseFloat(v.Raw, 64)
	case ast.ObjectValue:
		if v.Definition != nil && (v.Definition.BuiltIn && v.Definition.Kind == ast.Scalar || v.Definition.Kind == ast.Enum || v.ExpectedType != nil && v.ExpectedType.Elem != nil && v.Definition.Kind != ast.InputObject) {
			l.find(v) // gqlparser accepts an empty object for any type
		}
	default: // gqlparser and gqlgen handle the other kinds as specified
	}
	if err == nil {
		return
	}
	v.Raw = "0" // gqlgen panics on a number out of range
	if isType(v, "Int") {
		v.Kind = ast.IntValue // the rules do not report it again
	}
	if !refusesNumbers(v.Definition) {
		l.find(v)
	}
}

// refusesNumbers reports whether the rules refuse every number for a type.
func refusesNumbers(d *ast.Definition) bool {
	return d != nil && (d.Kind != ast.Scalar || d.BuiltIn && d.Name != "Int" && d.Name != "Float")
}

// find records an invalid literal.
func (l literals) find(v *ast.Value) {
	if !l.found[v] {
		l.wrong[v], l.found[v] = true, true
	}
}

// report reports the invalid parts of a literal, which is the value of argument.
func (l literals) report(v *ast.Value, argument string) {
	if v == nil || len(l.wrong) == 0 {
		return
	}
	if l.wrong[v] {
		delete(l.wrong, v)
		switch v.Kind {
		case ast.ObjectValue:
			l.refuse(rules.ValuesOfCorrectTypeRule.Name, v.Position, "is no "+v.ExpectedType.String(), argument)
		case ast.FloatValue:
			l.refuse(ruleNumbers, v.Position, "is no finite number", argument)
		default:
			l.refuse(ruleNumbers, v.Position, notInt32, argument)
		}
	}
	for i, child := range v.Children {
		name := child.Name
		if v.Kind == ast.ListValue {
			name = strconv.Itoa(i)
		}
		l.report(child.Value, argument+"."+name)
	}
}

func isType(v *ast.Value, name string) bool { return v.Definition != nil && v.Definition.Name == name }

// lexicalError is a lexical error and its position.
type lexicalError struct {
	line, column int
	message      string
}

// scanner reads the strings and numbers of a document that gqlparser's lexer has accepted. The
// lexer has these defects:
// - It ignores the indentation rule for block strings whose text begins behind the quotes (GraphQL specification, section 2.9.4).
// - It takes four quotes as one of the text and the end of a block string.
// - It replaces half of a surrogate pair by U+FFFD.
// - It reads 1a as the number 1 and the name a.
//
// The parser takes the string "on" after three dots as the keyword.
//
// The scanner can go when the table of graphql-js' verdicts passes without it (gqlparser
// 2.5.64, lexer/blockstring.go and parser/query.go).
type scanner struct {
	text   string
	pos    int  // in bytes
	runes  int  // before mark
	mark   int  // in bytes
	spread bool // no name has followed three dots yet
	blocks map[int]string
}

// scan returns the values of the block strings, by the position of their tokens in runes.
func scan(text string) (map[int]string, *lexicalError) {
	s := &scanner{text: text, blocks: make(map[int]string)}
	for s.pos < len(text) {
		var message string
		switch c := text[s.pos]; {
		case c == '#':
			s.comment()
		case c == '"' && s.spread:
			message = "Unexpected String."
		case strings.HasPrefix(text[s.pos:], `"""`):
			message = s.block()
		case c == '"':
			message = s.quoted()
		case c == '-' || isDigit(c):
			message = s.number()
		case isNameStart(c):
			s.name()
		case strings.HasPrefix(text[s.pos:], "..."):
			s.spread = true
			s.pos += len("...")
		default:
			s.pos++
		}
		if message != "" {
			return nil, s.failed(message)
		}
	}
	return s.blocks, nil
}

func (s *scanner) failed(message string) *lexicalError {
	before := strings.ReplaceAll(strings.ReplaceAll(s.text[:s.pos], "\r\n", "\n"), "\r", "\n")
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &lexicalError{1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(line), message}
}

// position returns the position of the next token in runes, as gqlparser counts it.
func (s *scanner) position() int {
	s.runes += utf8.RuneCountInString(s.text[s.mark:s.pos])
	s.mark = s.pos
	return s.runes
}

func (s *scanner) comment() {
	if end := strings.IndexAny(s.text[s.pos:], "\n\r"); end >= 0 {
		s.pos += end
	} else {
		s.pos = len(s.text)
	}
}

func (s *scanner) name() {
	s.spread = false
	for s.pos < len(s.text) && (isNameStart(s.text[s.pos]) || isDigit(s.text[s.pos])) {
		s.pos++
	}
}

// number reads a number. No name and no dot may follow it.
func (s *scanner) number() string {
	digits := func() {
		for s.pos < len(s.text) && isDigit(s.text[s.pos]) {
			s.pos++
		}
	}
	s.pos++
	digits()
	if strings.HasPrefix(s.text[s.pos:], ".") {
		s.pos++
		digits()
	}
	if s.pos < len(s.text) && (s.text[s.pos] == 'e' || s.text[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.text) && (s.text[s.pos] == '+' || s.text[s.pos] == '-') {
			s.pos++
		}
		digits()
	}
	if s.pos < len(s.text) && (s.text[s.pos] == '.' || isNameStart(s.text[s.pos])) {
		return "Invalid number, expected digit."
	}
	return ""
}

// quoted reads a string. Its escapes must not be half of a surrogate pair.
func (s *scanner) quoted() string {
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '"':
			s.pos++
			return ""
		case '\\':
			unit, ok := s.unit(s.pos)
			switch {
			case !ok:
				s.pos++ // an escape of one letter or in braces, which the lexer has verified
			case unit >= 0xDC00 && unit <= 0xDFFF:
				return invalidEscape
			case unit >= 0xD800 && unit <= 0xDBFF:
				if low, ok := s.unit(s.pos + 6); !ok || low < 0xDC00 || low > 0xDFFF {
					return invalidEscape
				}
				s.pos += 11
			default:
				s.pos += 5
			}
		}
	}
	return "Unterminated string."
}

const invalidEscape = "Invalid Unicode escape sequence: it is one half of a surrogate pair."

// unit returns the escape of four digits at a position, if there is one.
func (s *scanner) unit(at int) (uint64, bool) {
	if at+6 > len(s.text) || s.text[at] != '\\' || s.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[at+2:at+6], 16, 32)
	return n, err == nil
}

// block reads a block string.
func (s *scanner) block() string {
	const quotes = `"""`
	start := s.position()
	s.pos += len(quotes)
	var raw strings.Builder
	for {
		i := strings.Index(s.text[s.pos:], quotes)
		if i < 0 {
			return "Unterminated string."
		}
		part := s.text[s.pos : s.pos+i]
		s.pos += i + len(quotes)
		if strings.HasSuffix(part, `\`) {
			raw.WriteString(part[:len(part)-1] + quotes)
			continue
		}
		raw.WriteString(part)
		if strings.HasPrefix(s.text[s.pos:], `"`) {
			return "Unterminated string." // another string, which gqlparser takes for part of this one
		}
		s.blocks[start] = blockValue(raw.String())
		return ""
	}
}

// blockValue returns the value of a block string (GraphQL specification, section 2.9.4). The
// first line's indentation is neither counted nor removed.
func blockValue(raw string) string {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\r", "\n"), "\n")
	common, first, last := math.MaxInt, -1, -1
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		if indent == len(line) {
			continue
		}
		if last = i; first < 0 {
			first = i
		}
		if i > 0 {
			common = min(common, indent)
		}
	}
	if first < 0 {
		return ""
	}
	for i, line := range lines {
		if i > 0 {
			lines[i] = line[min(common, len(line)):]
		}
	}
	return strings.Join(lines[first:last+1], "\n")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// option returns the error of a document with invalid tokens.
func (e *lexicalError) option() core.ErrorOption {
	return func(err *gqlerror.Error) {
		err.Message = e.message
		err.Locations = []gqlerror.Location{{Line: e.line, Column: e.column}}
	}
}

// RuleCode returns the code of an error of this package's rules; empty for others.
func RuleCode(rule string) fault.Code {
	switch rule {
	case ruleSelections:
		return fault.QueryTooComplex
	case ruleLexical:
		return fault.ParseFailed
	case ruleNumbers:
		return fault.BadUserInput
	default:
		return ""
	}
}
