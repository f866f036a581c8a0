package browsertest

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/chromedp"
)

// Page is a page in a real Chromium. Its methods fail the test.
type Page struct {
	t     testing.TB
	ctx   context.Context //nolint:containedctx // chromedp keeps the browser in a context
	watch *watcher
}

// Open opens any page of the gateway, by o.Path, with the window, scheme and timeout of o. When the test ends, it fails
// for what fails [Run], too: calls of another host, errors of the browser's console, uncaught exceptions.
func Open(t testing.TB, baseURL string, o Options) *Page {
	t.Helper()
	ctx, watch := start(t, baseURL, cmp.Or(o.Timeout, defaultTimeout))
	t.Cleanup(func() { watch.report(t) })
	watch.mu.Lock()
	watch.unreliable = o.Unreliable
	watch.mu.Unlock()
	if err := prepare(ctx, o, baseURL); err != nil {
		t.Fatalf("open %s in Chromium: %v", o.Path, err)
	}
	return &Page{t: t, ctx: ctx, watch: watch}
}

// Wait waits until the condition, an expression of JavaScript, holds.
func (p *Page) Wait(what, condition string) {
	p.t.Helper()
	if err := wait(p.ctx, what, condition); err != nil {
		p.t.Fatalf("%v; the page shows:\n%s", err, Read[string](p, `document.body.innerText`))
	}
}

// Do performs actions, such as chromedp.Click. An action begins again if the page replaces its element meanwhile.
func (p *Page) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	for _, action := range actions {
		err := chromedp.Do(p.ctx, action)
		for replacedNode(err) {
			err = chromedp.Do(p.ctx, action)
		}
		if err != nil {
			p.t.Fatalf("Chromium: %v", err)
		}
	}
}

// replacedNode reports whether an action failed because its element is gone. It has had no effect then.
func replacedNode(err error) bool {
	refused, ok := errors.AsType[*cdproto.Error](err)
	return ok && strings.Contains(refused.Message, "No node with given id")
}

// Requests are the URLs that the page requested so far, in order.
func (p *Page) Requests() []string { return p.watch.requested() }

// Read returns the value of an expression of JavaScript. A promise is awaited.
func Read[T any](p *Page, expression string) T {
	p.t.Helper()
	// A context of a failed wait has ended.
	value, err := chromedp.Run(context.WithoutCancel(p.ctx), chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("evaluate %.80s: %v", expression, err)
	}
	return value
}
