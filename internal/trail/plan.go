package trail

// Plan estimates the console calls of an operation. It is computed from the selection and from what is known of the
// console's lists, without any call.
type Plan struct {
	// Rounds is the number of successive waits for the console.
	Rounds int `json:"rounds"`
	// ConsoleCalls is the number of calls with empty caches.
	ConsoleCalls int `json:"consoleCalls"`
	// Steps are the planned reads in the order of their rounds.
	Steps []Step `json:"steps"`
}

// Step is one planned read: a list, a batch of entities, or the data of a company.
type Step struct {
	// Round is the wait in which the step begins, counted from 1.
	Round int `json:"round"`
	// Kind is the kind of the table of lifetimes; empty for a change.
	Kind string `json:"kind,omitempty"`
	// Field is the path of the field that causes the step. Several paths are joined by commas.
	Field string `json:"field"`
	// Entities is the largest number of entities that the step is expected to read.
	Entities int `json:"entities"`
	// Calls is the number of console calls of the step.
	Calls int `json:"calls"`
	// How describes the step in words.
	How string `json:"how"`
}
