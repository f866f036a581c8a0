package audit

import (
	"encoding/json"
	"time"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/fault"
)

// line is one line of the audit log. Documentation: docs/operations.md, section Audit log.
type line struct {
	Log          string         `json:"log"`
	Time         time.Time      `json:"time"`
	Phase        string         `json:"phase"`
	ID           string         `json:"id"`
	Mutation     string         `json:"mutation,omitempty"`
	Actor        actor          `json:"actor"`
	Scope        *changeScope   `json:"scope,omitempty"`
	Targets      []string       `json:"targets,omitempty"`
	Created      []string       `json:"created,omitempty"`
	Input        map[string]any `json:"input,omitempty"`
	Operation    string         `json:"operation,omitempty"`
	Document     string         `json:"document,omitempty"`
	RequestID    string         `json:"request_id,omitempty"`
	TraceID      string         `json:"trace_id,omitempty"`
	Via          string         `json:"via,omitempty"` // mcp: an agent; empty: GraphQL
	Outcome      fault.Outcome  `json:"outcome,omitempty"`
	Code         fault.Code     `json:"code,omitempty"`
	ConsoleCalls *int           `json:"console_calls,omitempty"`
	DurationMs   *float64       `json:"duration_ms,omitempty"`
	Idempotency  *idempotency   `json:"idempotency,omitempty"`
	Refusals     int            `json:"refusals,omitempty"`
	Client       *client        `json:"client,omitempty"`
}

// actor is who makes a change.
type actor struct {
	Kind       string `json:"kind"`
	APIKey     string `json:"api_key,omitempty"`    // name of the key
	Account    string `json:"account,omitempty"`    // service account behind it
	User       string `json:"user,omitempty"`       // userid
	Username   string `json:"username,omitempty"`   // with which a session was begun
	Credential string `json:"credential,omitempty"` // keyed hash of a session or an unverified token
}

// changeScope is the scope of a change.
type changeScope struct {
	CompanyID    string `json:"company_id,omitempty"`
	DepartmentID string `json:"department_id,omitempty"`
}

// idempotency tells whether the answer repeats that of an earlier call.
type idempotency struct {
	Key      string `json:"key"` // keyed hash
	Replayed bool   `json:"replayed"`
}

// client is where a request came from.
type client struct {
	Address   string `json:"address,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

// The phases.
const (
	phaseSent = "sent" // the change is about to be sent
	phaseDone = "done" // its outcome is known
)

// encode returns the line with its line break.
func (l line) encode() []byte {
	text, err := json.Marshal(l)
	if err != nil { // its values are strings, numbers and booleans
		return nil
	}
	return append(text, '\n')
}

// took sets the duration of a change, and the number of its console calls.
func (l *line) took(d time.Duration, calls int) {
	ms := accesslog.Milliseconds(d)
	l.DurationMs, l.ConsoleCalls = &ms, &calls
}
