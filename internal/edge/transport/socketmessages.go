package transport

import (
	"bytes"
	jsonv1 "encoding/json"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// maxID bounds an operation's id, in bytes.
const maxID = 128

// envelope contains the members that all messages of the protocol have.
type envelope struct {
	ID      string
	Type    string
	Payload jsontext.Value
	busy    bool // there was no memory for the payload
}

// open parses a message. Its members must not be repeated. The payload is parsed later,
// according to the type. Only the payload may have half of a surrogate pair, since the error for it
// names the operation.
func open(message []byte) (envelope, bool) {
	var e envelope
	members := []string{"id", "type", "payload"}
	err := graphqlhttp.ReadMembers(message, members, e.set)
	if err != nil {
		e = envelope{}
		err = graphqlhttp.ReadMembers(message, members, e.set, jsontext.AllowInvalidUTF8(true))
		if err == nil {
			var other envelope
			err = graphqlhttp.ReadMembers(bytes.Replace(message, e.Payload, []byte("null"), 1), members, other.set)
		}
	}
	return e, err == nil && e.Type != ""
}

// openBeginning parses the beginning of a message for which there is no memory. It reports whether that names an operation that
// the client starts.
func (e *envelope) openBeginning(text []byte) bool {
	_ = graphqlhttp.ReadMembers(text[:min(len(text), smallMessage)], []string{"id", "type"}, e.set) // the end of the text is missing
	e.busy = e.ID != "" && e.Type == "subscribe"
	return e.busy
}

// set stores a member.
func (e *envelope) set(member string, value jsontext.Value) error {
	into := &e.ID
	switch {
	case member == "payload":
		e.Payload = value.Clone()
		return nil
	case value.Kind() == 'n':
		return nil
	case member == "type":
		into = &e.Type
	}
	return graphqlhttp.ReadString(member, value, into)
}

// handle handles a message. It reports whether the connection goes on.
func (c *socket) handle(e envelope) bool {
	switch e.Type {
	case "connection_init":
		return c.initialise(e)
	case "ping":
		return c.write("pong", "", nil)
	case "pong":
		return true
	case "subscribe":
		return c.subscribe(e)
	case "complete":
		c.leave(e.ID)
		return true
	default:
		return c.refuseMessage()
	}
}

// refuseMessage closes the connection of a client that does not keep to the protocol.
func (c *socket) refuseMessage() bool { return c.refuse(statusBadRequest, "Invalid message received") }

// initPayload parses the payload of connection_init. Its members must not be repeated: one member states the credentials.
func initPayload(value jsontext.Value) (payload map[string]any, ok bool) {
	if len(value) == 0 {
		return nil, true
	}
	err := json.Unmarshal(value, &payload)
	return payload, err == nil
}

// initialise handles connection_init.
func (c *socket) initialise(e envelope) bool {
	payload, ok := initPayload(e.Payload)
	if !ok {
		return c.refuseMessage()
	}
	c.mu.Lock()
	again := c.initialised
	c.initialised = true
	c.mu.Unlock()
	if again {
		return c.refuse(statusTooManyInits, "Too many initialisation requests")
	}
	return c.identify(payload)
}

// subscribe handles the message that starts an operation.
func (c *socket) subscribe(e envelope) bool {
	if !c.isInitialised() {
		return c.refuse(statusUnauthorized, "Unauthorized")
	}
	if len(e.ID) > maxID { // the id is stored, and sent with each event
		return c.refuse(statusBadRequest, fmt.Sprintf("id: is longer than %d bytes", maxID))
	}
	p, refusal, ok := c.parameters(e)
	if !ok {
		return c.refuseMessage()
	}
	op, result := c.begin(e.ID)
	switch {
	case result == idInUse:
		return c.refuse(statusIDInUse, "Subscriber for "+e.ID+" already exists")
	case result == tooMany:
		return c.fail(e.ID, apierror.RefusalOf(fault.Busy("the connection has %d operations under way: end some, or open another", maxOperations)))
	case refusal != nil:
		c.remove(op)
		return c.fail(e.ID, refusal)
	}
	c.run(func() { c.start(op, p) }) // it may wait, and the client is pinged meanwhile
	return true
}

// parameters parses a subscribe message. If the message is well-formed and its operation is not
// acceptable, refusal is the error for the client.
func (c *socket) parameters(e envelope) (p *graphqlhttp.Parameters, refusal *gqlerror.Error, ok bool) {
	if e.ID == "" || !e.busy && e.Payload.Kind() != '{' {
		return nil, nil, false
	}
	if e.busy || c.reservation.Take(min(len(e.Payload), smallMessage)) != nil {
		return nil, apierror.RefusalOf(fault.Busy("%s", graphqlhttp.ErrBusy.Message)), true
	}
	p, err := graphqlhttp.ParseParameters(e.Payload)
	if err == nil {
		c.o.Documents.Resolve(p)
		return p, nil, true
	}
	var form struct {
		Query         string                    `json:"query"`
		OperationName string                    `json:"operationName"`
		Variables     map[string]jsontext.Value `json:"variables"`
		Extensions    map[string]jsontext.Value `json:"extensions"`
	}
	if json.Unmarshal(e.Payload, &form, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return nil, nil, false //nolint:nilerr // the message violates the protocol
	}
	return nil, graphqlhttp.RequestError(err), true
}

// fail answers an operation that is not created. Its error has the id of the connection's request.
func (c *socket) fail(id string, err *gqlerror.Error) bool {
	return c.writeErrors(id, withRequestID(gqlerror.List{err}, accesslog.RequestID(c.ctx)))
}

// writeErrors sends the errors of an operation that has not begun.
func (c *socket) writeErrors(id string, errs gqlerror.List) bool {
	payload, err := jsonv1.Marshal(errs)
	return err == nil && c.write("error", id, payload)
}

// write sends a message, and reports whether it could. id and payload may be empty.
func (c *socket) write(kind, id string, payload []byte) bool {
	m := message(kind, id, len(payload))
	if payload != nil {
		m = append(append(m, payloadMember...), payload...)
	}
	return c.send(append(m, '}'))
}

// writeResponse sends the message `next`. Large data are not copied: many operations may wait for the connection.
func (c *socket) writeResponse(id string, response *graphql.Response) bool {
	const kind = "next"
	e, _ := graphqlhttp.EncodeParts(response) // gqlgen's data are valid JSON
	if e[1] == nil {
		return c.write(kind, id, e[0])
	}
	m := append(append(message(kind, id, len(e[0])), payloadMember...), e[0]...)
	return c.send(m, e[1], append(e[2], '}'))
}

const payloadMember = `,"payload":`

// message returns the beginning of a message, with room for a payload. id may be empty.
func message(kind, id string, payload int) []byte {
	const frame = len(`{"type":"connection_ack","id":"","payload":}`)
	m := append(make([]byte, 0, frame+len(id)+payload), `{"type":"`...)
	m = append(append(m, kind...), '"')
	if id != "" {
		m, _ = jsontext.AppendQuote(append(m, `,"id":`...), id) // it came as JSON
	}
	return m
}
