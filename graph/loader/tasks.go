package loader

import "sync"

// tasks are the goroutines of an operation. Unlike with a sync.WaitGroup, one may be begun
// while others are waited for: it is refused then. A batch begins on a goroutine of
// dataloader's, whoever is still there to want it.
type tasks struct {
	mu      sync.Mutex
	running int // way
	ended   bool
	done    chan struct{} // closed when none is under way any more, after the end
}

// enter is false after the end; else leave is to be called.
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

// Go begins f, unless it is too late.
func (t *tasks) Go(f func()) {
	if !t.enter() {
		return
	}
	go func() {
		defer t.leave()
		f()
	}()
}

// Wait ends them: from here on none is begun, and those that are have ended.
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
