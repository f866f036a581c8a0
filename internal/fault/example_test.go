package fault_test

import (
	"errors"
	"fmt"

	"github.com/consoleql/consoleql/internal/fault"
)

// An error carries a code for callers and the outcome of a failed mutation. Both are found however the error is
// wrapped.
func Example() {
	err := fmt.Errorf("update the workflow: %w", fault.BadInput("input.priority", "is 9000, not 0 to 5000"))
	fmt.Println(err)
	fmt.Println(fault.CodeOf(err), fault.OutcomeOf(err))

	lost := errors.New("connection reset")
	fmt.Println(fault.CodeOf(lost), fault.OutcomeOf(lost))
	// Output:
	// update the workflow: input.priority: is 9000, not 0 to 5000
	// BAD_USER_INPUT NOT_SENT
	// INTERNAL UNKNOWN
}
