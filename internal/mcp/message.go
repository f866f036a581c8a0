package mcp

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// The bounds of a message. The SDK quotes parameters that it cannot decode, so that their members are checked before.
const (
	maxID      = 256     // bytes of the id
	maxName    = 128     // bytes of a method or the name of a tool
	maxParams  = 4 << 10 // bytes of the parameters, without the arguments of a tool
	maxNesting = 1000    // objects and arrays in each other
)

// checkMessage refuses a body that is not one message, whose members could be read in two ways, or that the SDK cannot decode.
func checkMessage(text []byte) error {
	if !utf8.Valid(text) {
		return fault.BadInput("", "the message is not encoded in UTF-8")
	}
	if kind := jsontext.NewDecoder(bytes.NewBuffer(text)).PeekKind(); kind == '[' {
		return fault.BadInput("", "messages are not sent together: send each in a request of its own")
	}
	if nestsDeeply(text) {
		return fault.BadInput("", "the message nests deeper than %d levels", maxNesting)
	}
	m := message{}
	err := graphqlhttp.ReadMembers(text, []string{"jsonrpc", "id", "method", "params"}, m.set)
	var told *fault.Error
	switch {
	case errors.As(err, &told) && told.Message == apierror.NotAnOperation:
		return fault.BadInput("", "the request body is not a JSON object of jsonrpc, id, method and params")
	case err != nil:
		return err
	case m.version != "2.0":
		return fault.BadInput("jsonrpc", `is not the string "2.0"`)
	case m.method == "":
		return fault.BadInput("method", "is missing")
	}
	return m.checkParams()
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

// message holds the members of a message.
type message struct {
	version, method string
	params          jsontext.Value
}

// set checks and stores a member.
func (m *message) set(member string, value jsontext.Value) error {
	switch member {
	case "jsonrpc":
		return graphqlhttp.ReadString(member, value, &m.version)
	case "id":
		if len(value) > maxID {
			return fault.BadInput(member, "is longer than %d bytes", maxID)
		}
		return nil
	case "method":
		return readName(member, value, &m.method)
	default:
		m.params = value.Clone()
		return object(member, value)
	}
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
