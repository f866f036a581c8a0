package browsertest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
)

// watcher collects requests and problems of the page and its workers.
type watcher struct {
	host string

	mu         sync.Mutex
	unreliable bool // see Options
	attach     func(target.ID)
	requests   []string
	problems   []string
	followed   map[target.ID]bool

	// workers counts goroutines that attach to workers.
	workers sync.WaitGroup
}

func newWatcher(baseURL string) (*watcher, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, err
	}
	if base.Host == "" {
		return nil, fmt.Errorf("%q names no host", baseURL)
	}
	return &watcher{host: base.Host, followed: make(map[target.ID]bool)}, nil
}

// page handles the page's events, on the goroutine that reads them. It must not call the
// browser.
func (w *watcher) page(event any) {
	if attached, ok := event.(*target.EventAttachedToTarget); ok {
		w.follow(attached.TargetInfo)
		return
	}
	w.event(event)
}

// event handles the events of the page and of workers.
func (w *watcher) event(event any) {
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		w.request(event.Request.URL)
	case *network.EventWebSocketCreated:
		w.request(event.URL)
	case *runtime.EventExceptionThrown:
		w.problem("uncaught exception: " + exception(event.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		text := arguments(event.Args)
		// Without workers, Monaco runs in the page's thread and only warns.
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeAssert ||
			event.Type == runtime.ConsoleAPICalledTypeWarning && strings.Contains(strings.ToLower(text), "worker") {
			w.problem(fmt.Sprintf("console.%s: %s", event.Type, text))
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError && (event.Entry.Source != log.EntrySourceNetwork || !w.isUnreliable()) {
			w.problem(fmt.Sprintf("%s error: %s %s", event.Entry.Source, event.Entry.Text, event.Entry.URL))
		}
	}
}

func (w *watcher) isUnreliable() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unreliable
}

func (w *watcher) request(address string) {
	parsed, err := url.Parse(address)
	if err == nil && (parsed.Scheme == "data" || parsed.Scheme == "blob" || parsed.Scheme == "about") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, address)
	if err != nil || parsed.Host != w.host {
		w.problems = append(w.problems, "request to another host: "+address)
	}
}

func (w *watcher) problem(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, text)
}

func (w *watcher) requested() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// report fails the test for each problem so far.
func (w *watcher) report(t testing.TB) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, problem := range w.problems {
		t.Errorf("GraphiQL in Chromium: %s", problem)
	}
}

// followWorkers watches workers that the page starts from now on. attach attaches to one of
// them, with [watcher.event] for its events.
func (w *watcher) followWorkers(attach func(target.ID)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attach = attach
}

// follow watches a worker. The page reports the worker's own script, which is loaded before
// the watcher can attach. follow reports everything that the worker loads later.
func (w *watcher) follow(info *target.Info) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.attach == nil || !strings.Contains(info.Type, "worker") || w.followed[info.TargetID] {
		return
	}
	w.followed[info.TargetID] = true
	attach := w.attach
	w.workers.Go(func() { attach(info.TargetID) })
}

// close stops following workers and waits for running goroutines.
func (w *watcher) close() {
	w.mu.Lock()
	w.attach = nil
	w.mu.Unlock()
	w.workers.Wait()
}

func exception(details *runtime.ExceptionDetails) string {
	if details.Exception != nil && details.Exception.Description != "" {
		return details.Exception.Description
	}
	return details.Text
}

func arguments(args []*runtime.RemoteObject) string {
	texts := make([]string, 0, len(args))
	for _, arg := range args {
		if arg.Description != "" {
			texts = append(texts, arg.Description)
		} else {
			texts = append(texts, string(arg.Value))
		}
	}
	return strings.Join(texts, " ")
}
