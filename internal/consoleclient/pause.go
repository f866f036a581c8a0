package consoleclient

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// maxRetryAfter bounds how long a Retry-After is followed.
	maxRetryAfter = 5 * time.Minute
	// maxPauses bounds the principals that are paused at once. Further ones are not paused.
	maxPauses = 10_000
)

// pauses holds the waits that the console asked for by 429 or 503 with a Retry-After (RFC 9110, section 10.2.3).
// There is one per principal. It is safe for concurrent use.
type pauses struct {
	mu  sync.Mutex
	all map[string]pause // by the principal's name
}

type pause struct {
	until time.Time
	code  fault.Code // of the response that asked for the pause
}

// check returns an error if the principal of ctx is paused.
func (p *pauses) check(ctx context.Context, operation string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := principal.FromContext(ctx).Name()
	found, ok := p.all[name]
	if !ok {
		return nil
	}
	left := time.Until(found.until)
	if left <= 0 {
		delete(p.all, name)
		return nil
	}
	return refusedError(operation, found.code, &admission.RefusedError{Reason: admission.Paused, RetryAfter: left})
}

// observe starts a pause if the error of a call asks for one. It never shortens a pause. The token cache handles the
// SSO's Retry-After.
func (p *pauses) observe(ctx context.Context, operation string, err error) {
	var e *Error
	if !errors.As(err, &e) || e.Operation != operation || e.RetryAfter <= 0 || e.Status != http.StatusTooManyRequests && e.Status != http.StatusServiceUnavailable {
		return
	}
	now := time.Now()
	until := now.Add(e.RetryAfter)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= maxPauses {
		maps.DeleteFunc(p.all, func(_ string, q pause) bool { return !now.Before(q.until) })
	}
	name := principal.FromContext(ctx).Name()
	if found, ok := p.all[name]; ok && found.until.After(until) || !ok && len(p.all) >= maxPauses {
		return
	}
	p.all[name] = pause{until, e.Code}
}
