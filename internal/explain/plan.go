// Package explain describes what an operation asks the console for. Console answers the look-ahead of a dry run.
package explain

// Plan is what an operation asks the console for when nothing is cached, as a dry run found it.
type Plan struct {
	// Rounds is how often the operation waits for the console at least.
	Rounds int `json:"rounds"`
	// ConsoleCalls is how many calls it makes.
	ConsoleCalls int `json:"consoleCalls"`
	// OrMore says that the dry run ended early: the operation makes more calls.
	OrMore bool `json:"orMore,omitzero"`
	// Refused is the error with which the gateway would end the operation, empty if it would not.
	Refused string `json:"refused,omitzero"`
	// Steps are the calls, in the order of their rounds.
	Steps []Step `json:"steps"`
}

// Step is a number of similar calls of one round.
type Step struct {
	// Round is the round in which the calls begin, from 1.
	Round int `json:"round"`
	// Kind is the row of the table of lifetimes; empty for a change.
	Kind string `json:"kind,omitzero"`
	// Operation is the document's method and path, empty for a change.
	Operation string `json:"operation,omitzero"`
	// Field is the path of the field that needs the calls; several are separated by commas.
	Field string `json:"field"`
	// Entities is how many entities the calls bring.
	Entities int `json:"entities"`
	// Calls is the number of calls.
	Calls int `json:"calls"`
	// How describes the calls.
	How string `json:"how"`
}

// Add appends a step and counts its calls.
func (p *Plan) Add(s Step) {
	p.ConsoleCalls += s.Calls
	p.Steps = append(p.Steps, s)
}
