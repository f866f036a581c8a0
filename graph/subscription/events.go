package subscription

import (
	"io"
	"strconv"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// EventType is the kind of change that an event reports.
type EventType string

// The types of events.
const (
	EventSnapshot EventType = "SNAPSHOT"
	EventAdded    EventType = "ADDED"
	EventUpdated  EventType = "UPDATED"
	EventRemoved  EventType = "REMOVED"
)

// MarshalGQL writes the type as a GraphQL enum value.
func (t EventType) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(t))) }

// UnmarshalGQL refuses every value: the type is no input.
func (t *EventType) UnmarshalGQL(v any) error {
	return fault.BadInput("type", "%v is no input", v)
}

// RobotEvent is an event of Subscription.robotEvents.
type RobotEvent struct {
	Type EventType
	ID   string
	// Robot is nil of one that was removed.
	Robot *cc.Robot
}

// WorkflowEvent is an event of Subscription.workflowEvents.
type WorkflowEvent struct {
	Type EventType
	ID   string
	// Workflow is nil of one that was removed.
	Workflow *cc.Workflow
}
