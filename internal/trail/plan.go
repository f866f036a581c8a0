package trail

// Plan is what an operation is expected to ask of the console: an estimate, made of
// what it selects and of what is known of the console's lists, without asking anybody.
type Plan struct {
	// Rounds is how often the operation waits for the console, one wait after another.
	Rounds int `json:"rounds"`
	// ConsoleCalls is how many calls it makes where nothing is kept.
	ConsoleCalls int `json:"consoleCalls"`
	// Steps are what it asks for, in the order of their rounds.
	Steps []Step `json:"steps"`
}

// Step is one thing asked for: a list, a batch of entities, or a company's data.
type Step struct {
	// Round is the wait in which the step begins, from 1.
	Round int `json:"round"`
	// Kind is the row of the table of lifetimes; empty for a change.
	Kind string `json:"kind,omitempty"`
	// Field is the path of the field that asks; of several, joined by commas.
	Field string `json:"field"`
	// Entities is how many the step brings at most, as far as that can be told.
	Entities int `json:"entities"`
	// Calls is how many console calls that takes.
	Calls int `json:"calls"`
	// How says it in words.
	How string `json:"how"`
}
