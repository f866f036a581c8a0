package entity

import (
	"errors"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
)

// TestPrimaryError verifies that a refusal of the caller decides about several pages, whatever failed before it.
func TestPrimaryError(t *testing.T) {
	t.Parallel()
	failed, refused := fault.New(fault.UpstreamUnavailable, "down"), fault.New(fault.Forbidden, "no")
	expired := fault.New(fault.Unauthenticated, "expired")
	for name, tt := range map[string]struct {
		errs []error
		want error
	}{
		"none":            {[]error{nil, nil}, nil},
		"the first":       {[]error{nil, failed, errors.New("another")}, failed},
		"a refusal":       {[]error{failed, nil, refused}, refused},
		"a refused token": {[]error{failed, expired}, expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := primaryError(tt.errs...); !errors.Is(got, tt.want) {
				t.Errorf("%v decides, want %v", got, tt.want)
			}
		})
	}
}
