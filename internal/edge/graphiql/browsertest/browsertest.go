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
	// defaultTimeout is the default of Options.Timeout. A run takes a few seconds, but
	// Chromium starts slowly on a loaded machine.
	defaultTimeout = 60 * time.Second

	// closeTimeout bounds the time for Chromium's end before it is killed.
	closeTimeout = 10 * time.Second

	// settleTime covers changes of the page without a visible end. GraphiQL reads the
	// operation a tenth of a second after the editor's last change, and tooltips fade out.
	settleTime = 500 * time.Millisecond

	defaultWidth  = 1440
	defaultHeight = 900
)

// Options configure a run. The zero value opens the page and presses the run button.
type Options struct {
	// Path is appended to the base URL, possibly with a query ("/?query=…"); default "/".
	Path string
	// Tab is the index of the tab to run; default the first one, which is active on a first
	// visit.
	Tab int
	// Before is called with a chromedp context when the page is ready and the tab selected,
	// before the run button is pressed. It may be nil.
	Before func(ctx context.Context) error
	// ReadOnly ends the run when the page is ready, without pressing the run button.
	ReadOnly bool
	// Docs opens the documentation explorer, for a picture.
	Docs bool
	// Dark asks for the dark colour scheme.
	Dark bool
	// Width and Height are the window's, in CSS pixels; 1440 by 900 when 0.
	Width, Height int64
	// Screenshot is the PNG file for a picture of the finished page; empty: none.
	Screenshot string
	// Unreliable says that the test breaks connections: requests that fail are no problems.
	Unreliable bool
	// Timeout bounds the whole run; default [defaultTimeout].
	Timeout time.Duration
}

// Result is the visible content of the page.
type Result struct {
	// Tabs are the titles of the tabs.
	Tabs []string
	// Query, Variables and Headers are the complete contents of the editors.
	Query, Variables, Headers string
	// Response is the complete content of the result pane; empty after a read-only run.
	Response string
	// Visible is the part of the query that the editor shows.
	Visible string
	// Requests are the URLs that the page and its workers requested, in order, without data:
	// and blob: URLs.
	Requests []string
}

// Run opens GraphiQL at baseURL ("http://127.0.0.1:8080") and waits for an operation in the
// editor and for the schema. It then presses the run button and waits for the answer. Each run
// uses a new browser and profile.
//
// The test fails if Chromium is missing, a step exceeds the timeout, or the page or a worker
// calls another host. It also fails if the browser's console shows an error, an uncaught
// exception or a warning about workers.
func Run(t testing.TB, baseURL string, o Options) Result {
	t.Helper()
	ctx, watch := start(t, baseURL, cmp.Or(o.Timeout, defaultTimeout))

	var result Result
	err := prepare(ctx, o, baseURL)
	if err == nil {
		result, err = operate(ctx, o)
	}
	if err == nil && o.Screenshot != "" {
		err = screenshot(ctx, o.Screenshot)
	}
	// The page's problems are reported first, since they explain why a step failed.
	watch.report(t)
	if err != nil {
		t.Fatalf("GraphiQL in Chromium: %v", err)
	}
	result.Requests = watch.requested()
	return result
}

// start starts Chromium for the duration of the test, and watches all events of its page.
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

	// Without a user-data-dir, the allocator creates one. It removes it after Chromium's
	// children have stopped writing there, which may outlive Chromium.
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
		// The error means that the worker has ended.
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

// operate waits for the page, selects the tab, presses the button and reads the result.
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
	// A pointer on a button would show its tooltip in the picture.
	if err := chromedp.Do(ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 2, 2), chromedp.Sleep(settleTime)); err != nil {
		return fmt.Errorf("move the pointer away: %w", err)
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("take a screenshot: %w", err)
	}
	return os.WriteFile(file, picture, 0o600)
}
