package idempotency

import (
	"context"

	"github.com/consoleql/consoleql/internal/backoff"
)

// maxReleases bounds the records that are to be released. Others expire with their lease: they become unknown, not free.
const maxReleases = 10_000

// release gives a record back in the background, since nothing was run for it.
func (e *Executor) release(r Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.releases) == maxReleases {
		return
	}
	e.releases = append(e.releases, r)
	if len(e.releases) == 1 {
		e.tasks.Go(e.releaseAll)
	}
}

// releaseAll releases records, one after another, until none is left. If the store fails after Close began, it gives up.
func (e *Executor) releaseAll() {
	for failures := 0; ; {
		e.mu.Lock()
		r := e.releases[0]
		e.mu.Unlock()
		err := e.releaseOnce(r)
		e.mu.Lock()
		e.releases = e.releases[1:]
		if err != nil {
			e.releases = append(e.releases, r) // the others must not wait for a record that cannot be written
		}
		left := len(e.releases)
		ends := err != nil && e.closed
		if ends {
			e.releases = nil
		}
		e.mu.Unlock()
		switch {
		case left == 0:
			return
		case ends:
			e.opts.Logger.Warn("idempotency: the gateway ends before the store has released all keys of calls that started nothing", "keys", left)
			return
		case err == nil:
			failures = 0
		default:
			e.sleep(e.stopping, backoff.Exponential(firstPause, maxPause, failures))
			failures++
		}
	}
}

// releaseOnce releases a record, within the time of a claim.
func (e *Executor) releaseOnce(r Record) error {
	ctx, cancel := context.WithTimeout(e.stopping, claimTimeout)
	defer cancel()
	_, err := e.store.Finish(ctx, r, End{Outcome: NotStarted})
	return err
}
