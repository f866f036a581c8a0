package batch

import "sync"

// tasks are the goroutines of an operation. Unlike a sync.WaitGroup, it refuses goroutines that start after the end.
// Package dataloader starts a batch on its own goroutine, even after the operation has ended.
type tasks struct {
	mu      sync.Mutex
	running int
	ended   bool
	done    chan struct{} // closed when none runs any more, after the end
}

// enter returns false after the end. Otherwise the caller must call leave.
func (t *tasks) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	t.running++
	return true
}

func (t *tasks) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.ended && t.running == 0 {
		close(t.done)
	}
}

// Go runs f on a goroutine. It returns false if the tasks have ended.
func (t *tasks) Go(f func()) bool {
	if !t.enter() {
		return false
	}
	go func() {
		defer t.leave()
		f()
	}()
	return true
}

// Wait ends the tasks: none starts any more, and those that run are waited for.
func (t *tasks) Wait() {
	t.mu.Lock()
	if t.done == nil {
		t.ended, t.done = true, make(chan struct{})
		if t.running == 0 {
			close(t.done)
		}
	}
	t.mu.Unlock()
	<-t.done
}
