// Package browsertest drives GraphiQL in a real Chromium, for tests and for the pictures in the documentation.
package browsertest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

const (
	// DefaultTimeout is how long a run may take when [Options] say nothing else. It is generous because a machine under
	// load starts Chromium slowly; a run normally takes a few seconds.
	DefaultTimeout = 60 * time.Second

	// closeTimeout limits how long Chromium may take to end before it is killed.
	closeTimeout = 10 * time.Second

	// settleTime is for what the page does a moment later without showing when it is done: GraphiQL reads the operation
	// a tenth of a second after the editor's last change, and tooltips fade away.
	settleTime = 500 * time.Millisecond

	defaultWidth  = 1440
	defaultHeight = 900
)

// Options say what a run does beyond opening the page and pressing the run button. The zero value is usable.
type Options struct {
	// Path is appended to the base URL, with a query where wanted ("/?query=…"); "/" when empty.
	Path string
	// Tab is the index of the tab to run; the first one, active on a first visit, when 0.
	Tab int
	// Before is called when the page is ready and the tab chosen, before the run button is pressed, with a chromedp
	// context of the page; nil for nothing.
	Before func(ctx context.Context) error
	// ReadOnly ends the run when the page is ready, without pressing the run button.
	ReadOnly bool
	// Docs opens the documentation explorer beside the editors, for a picture.
	Docs bool
	// Dark asks for the dark colour scheme.
	Dark bool
	// Width and Height are the window's, in CSS pixels; 1440 by 900 when 0.
	Width, Height int64
	// Screenshot is the file that a PNG of the finished page is written to; none when empty.
	Screenshot string
	// Timeout limits the whole run; [DefaultTimeout] when 0.
	Timeout time.Duration
}

// Result is what a person would see.
type Result struct {
	// Tabs are the titles of the tabs.
	Tabs []string
	// Query, Variables and Headers are the whole content of the editors.
	Query, Variables, Headers string
	// Response is the whole content of the result pane; empty after a read-only run.
	Response string
	// Visible is the part of the query that the editor shows.
	Visible string
	// Requests are the URLs that the page and its workers asked for, in order, data: and blob: URLs left out.
	Requests []string
}

// Run opens GraphiQL at baseURL ("http://127.0.0.1:8080"), waits until the editor shows an operation and the schema is
// there, presses the run button and waits for the answer. Each run has a browser and a profile of its own.
//
// The test fails when Chromium is missing, when anything takes longer than the timeout, when the page or a worker asks
// another host for anything, or when the console shows an error, an uncaught exception or a warning about workers.
func Run(t testing.TB, baseURL string, o Options) Result {
	t.Helper()
	ctx, watch := start(t, baseURL, cmp.Or(o.Timeout, DefaultTimeout))

	var result Result
	err := prepare(ctx, o, baseURL)
	if err == nil {
		result, err = operate(ctx, o)
	}
	if err == nil && o.Screenshot != "" {
		err = screenshot(ctx, o.Screenshot)
	}
	// What went wrong in the page explains why a step did not come to its end, so it is reported first.
	watch.report(t)
	if err != nil {
		t.Fatalf("GraphiQL in Chromium: %v", err)
	}
	result.Requests = watch.requested()
	return result
}

// start starts Chromium, which ends with the test, and watches everything that its page does.
func start(t testing.TB, baseURL string, timeout time.Duration) (context.Context, *watcher) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the browser tests of `make test` need Chromium as \"chromium\" on the PATH (Debian: apt-get install chromium): %v", err)
	}
	watch, err := newWatcher(baseURL)
	if err != nil {
		t.Fatalf("base URL of GraphiQL: %v", err)
	}

	// No user-data-dir is named: the allocator then makes a fresh one, and removes it after Chromium's children, which
	// can outlive Chromium for a moment, have stopped writing there.
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium),
		chromedp.Headless,
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-default-apps", true),
		chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-breakpad", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("password-store", "basic"),
		chromedp.Flag("force-color-profile", "srgb"),
	)
	t.Cleanup(stopAllocator)
	// The first call starts the browser and binds it to its context, which therefore has no deadline.
	browser, _ := chromedp.NewContext(allocator, chromedp.WithListener(watch.page))
	t.Cleanup(func() {
		watch.close()
		closing, cancel := context.WithTimeout(browser, closeTimeout)
		defer cancel()
		_ = chromedp.Cancel(closing)
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	watch.followWorkers(func(id target.ID) {
		worker, _ := chromedp.NewContext(browser, chromedp.WithTargetID(id), chromedp.WithListener(watch.event))
		// The error is that the worker has ended meanwhile, which leaves nothing to watch.
		_ = chromedp.Do(worker)
	})

	ctx, cancel := context.WithTimeout(browser, timeout)
	t.Cleanup(cancel)
	return ctx, watch
}

// prepare sets the window up and opens the page.
func prepare(ctx context.Context, o Options, baseURL string) error {
	scheme := "light"
	if o.Dark {
		scheme = "dark"
	}
	return chromedp.Do(ctx,
		chromedp.EmulateViewport(cmp.Or(o.Width, defaultWidth), cmp.Or(o.Height, defaultHeight)),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
		chromedp.Navigate(baseURL+cmp.Or(o.Path, "/")),
	)
}

// operate does what a person does: wait for the page, choose the tab, press the button, read.
func operate(ctx context.Context, o Options) (Result, error) {
	if err := wait(ctx, "the editor shows an operation", editorReady); err != nil {
		return Result{}, err
	}
	if err := wait(ctx, "the schema is loaded", schemaReady); err != nil {
		return Result{}, err
	}
	if o.Docs {
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`button[aria-label="Show Documentation Explorer"]`))); err != nil {
			return Result{}, err
		}
		if err := wait(ctx, "the documentation explorer lists the schema's root types", docsReady); err != nil {
			return Result{}, err
		}
	}
	if o.Tab > 0 {
		tab := chromedp.CSS("#graphiql-session-tab-" + strconv.Itoa(o.Tab))
		if err := chromedp.Do(ctx, chromedp.Click(tab), chromedp.Sleep(settleTime)); err != nil {
			return Result{}, err
		}
		if err := wait(ctx, "the chosen tab shows its operation", editorReady); err != nil {
			return Result{}, err
		}
	}
	if o.Before != nil {
		if err := o.Before(ctx); err != nil {
			return Result{}, fmt.Errorf("the caller's steps before the run: %w", err)
		}
	}
	if !o.ReadOnly {
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("button.graphiql-execute-button"))); err != nil {
			return Result{}, err
		}
		if err := wait(ctx, "the result pane shows the answer", answerReady); err != nil {
			return Result{}, err
		}
	}
	return chromedp.Run(ctx, chromedp.Evaluate[Result](readPage))
}

func screenshot(ctx context.Context, file string) error {
	// A pointer that rests on a button would leave its tooltip in the picture.
	if err := chromedp.Do(ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 2, 2), chromedp.Sleep(settleTime)); err != nil {
		return fmt.Errorf("move the pointer away: %w", err)
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("take a screenshot: %w", err)
	}
	return os.WriteFile(file, picture, 0o600)
}
