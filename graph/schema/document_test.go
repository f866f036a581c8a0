package schema_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// operation is a REST operation of the console's document.
type operation struct {
	Method, Path string
	Parameters   []parameter // of the query string, in the document's order
	Response     *value      // nil where the document says that there is no content
}

// parameter is one row of a documented query string.
type parameter struct{ Name, Type, Remark string }

// jsonType is the kind of a field's type, as a sample value of the document's pseudo-JSON shows
// it.
type jsonType int

const (
	jsonNone   jsonType = iota // a key without a value: the document leaves the type open
	jsonElided                 // an object that the document does not repeat
	jsonObject
	jsonList // of objects
	jsonText
	jsonTexts
	jsonID
	jsonIDs
	jsonDateTime
	jsonNumber
	jsonBoolean
	jsonMap
)

// value is a sample value; Fields are those of an object, or of the objects of a list.
type value struct {
	Kind   jsonType
	Text   string
	Fields []field
}

// field is a key of a sample object, and the remark behind it.
type field struct {
	Name, Remark string
	Value        value
}

var (
	operationHeading = regexp.MustCompile(`(?m)^#### .*$`)
	sectionHeading   = regexp.MustCompile(`(?m)^#{2,3} .*$`)
	pathLine         = regexp.MustCompile(`(?m)^\*\*Path：\*\* (.+)$`)
	methodLine       = regexp.MustCompile(`(?m)^\*\*Method：\*\* (\w+)`)
	parameterRow     = regexp.MustCompile(`<tr><td>\s*(\w+)</td><td>(\w+)</td><td>(.*?)</td></tr>`)
	guid             = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	timestamp        = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+Z$`)
)

// readDocument returns the operations of the console's document in the document's order.
func readDocument(t *testing.T) []operation {
	t.Helper()
	text, err := os.ReadFile("testdata/console-api.md")
	if err != nil {
		t.Fatal(err)
	}
	operations, err := parseDocument(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return operations
}

// parseDocument finds the operations: fourth-level headings with a path and a method.
func parseDocument(text string) ([]operation, error) {
	headings := operationHeading.FindAllStringIndex(text, -1)
	var operations []operation
	for i, heading := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		body := text[heading[1]:end]
		if next := sectionHeading.FindStringIndex(body); next != nil {
			body = body[:next[0]]
		}
		path, method := pathLine.FindStringSubmatch(body), methodLine.FindStringSubmatch(body)
		if path == nil || method == nil {
			continue
		}
		op := operation{Method: method[1], Path: strings.TrimSpace(path[1])}
		_, response, found := strings.Cut(body, "**响应参考示例：**")
		if !found {
			return nil, fmt.Errorf("%s %s has no response sample", op.Method, op.Path)
		}
		if _, table, ok := strings.Cut(body, "**Query string：**"); ok {
			for _, row := range parameterRow.FindAllStringSubmatch(table, -1) {
				if row[1] != "参数名称" {
					op.Parameters = append(op.Parameters, parameter{Name: row[1], Type: row[2], Remark: row[3]})
				}
			}
		}
		if strings.TrimSpace(strings.TrimRight(strings.TrimSpace(response), "-")) != "无内容" {
			sample, err := parseSample(response)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", op.Method, op.Path, err)
			}
			op.Response = &sample
		}
		operations = append(operations, op)
	}
	return operations, nil
}

// sampleParser parses the document's pseudo-JSON: unquoted keys, keys without values, remarks
// behind commas, omitted repetitions.
type sampleParser struct {
	text []rune
	at   int
}

func parseSample(text string) (value, error) {
	p := &sampleParser{text: []rune(text)}
	p.space()
	if c := p.peek(); c != '{' && c != '[' {
		return value{}, errors.New("the response sample is neither an object nor a list")
	}
	v, err := p.value()
	if err != nil {
		return value{}, err
	}
	p.space()
	if rest := strings.TrimSpace(strings.Trim(string(p.text[p.at:]), "-\n ")); rest != "" {
		return value{}, fmt.Errorf("text behind the response sample: %.40q", rest)
	}
	return v, nil
}

func (p *sampleParser) peek() rune {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// space skips white space and comments, and returns the comments.
func (p *sampleParser) space() string {
	var comments strings.Builder
	for p.at < len(p.text) {
		rest := string(p.text[p.at:min(p.at+2, len(p.text))])
		switch {
		case unicode.IsSpace(p.text[p.at]):
			p.at++
		case rest == "//":
			comments.WriteString(p.until("\n"))
		case rest == "/*":
			comments.WriteString(p.until("*/"))
		default:
			return comments.String()
		}
	}
	return comments.String()
}

// until skips to the end of the next occurrence of the mark, or to the end, and returns the
// skipped text.
func (p *sampleParser) until(mark string) string {
	passed, _, found := strings.Cut(string(p.text[p.at:]), mark)
	p.at += len([]rune(passed))
	if found {
		p.at += len([]rune(mark))
	}
	return passed
}

// remark returns the comment on the rest of the line.
func (p *sampleParser) remark() string {
	p.blanks()
	if string(p.text[p.at:min(p.at+2, len(p.text))]) != "//" {
		return ""
	}
	return strings.TrimSpace(strings.TrimPrefix(p.until("\n"), "//"))
}

func (p *sampleParser) value() (value, error) {
	switch c := p.peek(); {
	case c == '{':
		return p.object()
	case c == '[':
		return p.list()
	case c == '"':
		text, err := p.quoted()
		if err != nil {
			return value{}, err
		}
		return value{Kind: jsonTypeOf(text), Text: text}, nil
	case c == ',' || c == '/' || unicode.IsSpace(c):
		return value{Kind: jsonNone}, nil
	default:
		switch word := p.word(); {
		case word == "true" || word == "false":
			return value{Kind: jsonBoolean, Text: word}, nil
		case word != "" && strings.Trim(word, "0123456789") == "":
			return value{Kind: jsonNumber, Text: word}, nil
		default:
			return value{}, fmt.Errorf("no sample value at %.40q", string(p.text[p.at:]))
		}
	}
}

func jsonTypeOf(text string) jsonType {
	switch {
	case guid.MatchString(text):
		return jsonID
	case timestamp.MatchString(text):
		return jsonDateTime
	default:
		return jsonText
	}
}

func (p *sampleParser) quoted() (string, error) {
	p.at++
	text := p.until(`"`)
	if p.text[p.at-1] != '"' {
		return "", errors.New("a text without an end")
	}
	return text, nil
}

func (p *sampleParser) word() string {
	start := p.at
	for c := p.peek(); unicode.IsLetter(c) || unicode.IsDigit(c); c = p.peek() {
		p.at++
	}
	return string(p.text[start:p.at])
}

// object parses an object. Quoted keys make it a mapping, since the document does not quote
// the keys of entities.
func (p *sampleParser) object() (value, error) {
	v := value{Kind: jsonObject}
	p.at++
	for {
		comment := p.space()
		switch p.peek() {
		case '}':
			p.at++
			if strings.Contains(comment, "略") && len(v.Fields) == 0 {
				v.Kind = jsonElided
			}
			return v, nil
		case 0:
			return value{}, errors.New("an object without an end")
		}
		quoted := p.peek() == '"'
		if quoted {
			p.at++
		}
		name := p.until(":")
		p.blanks()
		inner, err := p.value()
		if err != nil {
			return value{}, fmt.Errorf("%s: %w", name, err)
		}
		p.blanks()
		if p.peek() == ',' {
			p.at++
		}
		if quoted {
			v.Kind = jsonMap
			continue
		}
		v.Fields = append(v.Fields, field{Name: name, Remark: p.remark(), Value: inner})
	}
}

// blanks skips white space on the same line.
func (p *sampleParser) blanks() {
	for p.peek() == ' ' {
		p.at++
	}
}

// list parses a list. Its first element determines its type.
func (p *sampleParser) list() (value, error) {
	var elements []value
	p.at++
	for {
		p.space()
		switch p.peek() {
		case ']':
			p.at++
			return listOf(elements)
		case 0:
			return value{}, errors.New("a list without an end")
		case ',':
			p.at++
			continue
		}
		element, err := p.value()
		if err != nil {
			return value{}, err
		}
		elements = append(elements, element)
	}
}

func listOf(elements []value) (value, error) {
	if len(elements) == 0 {
		return value{}, errors.New("a list without a sample element")
	}
	switch first := elements[0]; first.Kind {
	case jsonObject:
		return value{Kind: jsonList, Fields: first.Fields}, nil
	case jsonText:
		return value{Kind: jsonTexts}, nil
	case jsonID:
		return value{Kind: jsonIDs}, nil
	default:
		return value{}, fmt.Errorf("a list of kind %d", first.Kind)
	}
}
