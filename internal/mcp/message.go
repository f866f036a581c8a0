package mcp

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// The bounds of a message. The SDK quotes parameters that it cannot decode, so that their members are checked before.
const (
	maxID      = 256       // bytes of an id that is a string
	maxNumber  = 1<<53 - 1 // of an id: float64 holds all integers up to it
	maxName    = 128       // bytes of a method or the name of a tool
	maxParams  = 4 << 10   // bytes of the parameters, without the arguments of a tool
	maxNesting = 1000      // objects and arrays in each other
)

// readMessage reads a body. It refuses one that is not one message, whose members could be read in two ways, or whose members
// have wrong types.
func readMessage(text []byte) (*message, error) {
	if !utf8.Valid(text) {
		return nil, fault.BadInput("", "the message is not encoded in UTF-8")
	}
	if kind := jsontext.NewDecoder(bytes.NewBuffer(text)).PeekKind(); kind == '[' {
		return nil, fault.BadInput("", "messages are not sent together: send each in a request of its own")
	}
	if nestsDeeply(text) {
		return nil, fault.BadInput("", "the message nests deeper than %d levels", maxNesting)
	}
	m := &message{members: make(map[string]jsontext.Value), meta: make(map[string]jsontext.Value)}
	err := graphqlhttp.ReadMembers(text, []string{"jsonrpc", "id", "method", "params"}, m.set)
	var faultErr *fault.Error
	switch {
	case errors.As(err, &faultErr) && faultErr.Message == apierror.NotAnOperation:
		return nil, fault.BadInput("", "the request body is not a JSON object of jsonrpc, id, method and params")
	case err != nil:
		return nil, err
	case m.version != "2.0":
		return nil, fault.BadInput("jsonrpc", `is not the string "2.0"`)
	case m.method == "":
		return nil, fault.BadInput("method", "is missing")
	}
	return m, m.checkParams()
}

// nestsDeeply reports whether a JSON text nests deeper than maxNesting.
func nestsDeeply(text []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	for dec.StackDepth() <= maxNesting {
		if _, err := dec.ReadToken(); err != nil {
			return false // the end, or no JSON, which is refused elsewhere
		}
	}
	return true
}

// message is a request or a notification.
type message struct {
	version, method string
	params          jsontext.Value
	members         map[string]jsontext.Value // those above and the id
	meta            map[string]jsontext.Value // the member _meta of params, if it is there
}

// set checks and stores a member.
func (m *message) set(member string, value jsontext.Value) error {
	m.members[member] = value.Clone()
	switch member {
	case "jsonrpc":
		return graphqlhttp.ReadString(member, value, &m.version)
	case "id":
		return checkID(value)
	case "method":
		return readName(member, value, &m.method)
	default:
		m.params = m.members[member]
		return object(member, value)
	}
}

// checkID refuses an id that the SDK would answer by another: it decodes numbers to float64, and cuts their fractions.
func checkID(value jsontext.Value) error {
	if value.Kind() == '"' {
		if len(value) > maxID {
			return fault.BadInput("id", "is longer than %d bytes", maxID)
		}
		return nil
	}
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= -maxNumber && n <= maxNumber {
		return nil
	}
	return fault.BadInput("id", "is neither a string nor an integer from -%d to %[1]d", maxNumber)
}

// decodable returns the text of the message with parameters that the SDK can decode: it would quote others, and name types of
// Go. takes tells whether the method takes those of the message.
func (m *message) decodable(text []byte) (_ []byte, takes bool, err error) {
	var into any
	switch {
	case m.params == nil || m.method == "tools/call" || strings.HasPrefix(m.method, "notifications/"):
		return text, true, nil // they are checked, or nobody is answered
	case m.method == "initialize":
		into = new(sdk.InitializeParams)
	case m.method == "tools/list":
		into = new(sdk.ListToolsParams)
	}
	if into != nil && json.Unmarshal(m.params, into, jsontext.AllowDuplicateNames(true)) == nil {
		return text, true, nil
	}
	if m.members["params"], err = encode(m.meta); err != nil {
		return nil, false, err
	}
	text, err = encode(m.members)
	return text, into == nil, err
}

// checkParams checks the parameters, if there are any.
func (m *message) checkParams() error {
	if m.params == nil {
		return nil
	}
	free := 0 // bytes that maxParams does not bound
	err := graphqlhttp.ReadMembers(m.params, []string{"name", "arguments", "_meta", "inputResponses", "requestState"}, func(member string, value jsontext.Value) error {
		at := "params." + member
		switch {
		case member == "_meta":
			m.meta[member] = value.Clone()
			return object(at, value)
		case m.method != "tools/call":
			return nil
		case member == "name":
			var name string
			return readName(at, value, &name)
		case member == "arguments":
			free = len(value)
			return nil
		default:
			return fault.BadInput(at, "is there, although no tool has asked for it")
		}
	})
	if err == nil && len(m.params)-free > maxParams {
		return fault.BadInput("params", "has more than %d bytes, the arguments of a tool not counted", maxParams)
	}
	return err
}

// readName decodes a member that must be a string of at most maxName bytes.
func readName(member string, value jsontext.Value, into *string) error {
	if err := graphqlhttp.ReadString(member, value, into); err != nil {
		return err //nolint:wrapcheck // it names the member
	}
	if len(*into) > maxName {
		return fault.BadInput(member, "is longer than %d bytes", maxName)
	}
	return nil
}

// object refuses a member that is no object.
func object(member string, value jsontext.Value) error {
	if value.Kind() != '{' {
		return fault.BadInput(member, "is not a JSON object")
	}
	return nil
}
