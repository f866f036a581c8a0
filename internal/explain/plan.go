// Package explain describes the console calls of an operation. Its Console answers the
// look-ahead of a dry run.
package explain

// Plan lists the console calls of an uncached operation, as a dry run found them.
type Plan struct {
	// Rounds is the minimum number of rounds of calls for which the operation waits.
	Rounds int `json:"rounds"`
	// ConsoleCalls is the number of calls.
	ConsoleCalls int `json:"consoleCalls"`
	// OrMore reports that the dry run ended early: the operation makes more calls.
	OrMore bool `json:"orMore,omitzero"`
	// Refused is the error with which the gateway would end the operation, or empty.
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
	// Entities is the number of entities that the calls return.
	Entities int `json:"entities"`
	// Calls is the number of calls.
	Calls int `json:"calls"`
	// How is a description of the calls.
	How string `json:"how"`
}

// Add appends a step and counts its calls.
func (p *Plan) Add(s Step) {
	p.ConsoleCalls += s.Calls
	p.Steps = append(p.Steps, s)
}
