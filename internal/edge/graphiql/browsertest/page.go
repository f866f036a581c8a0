package browsertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/chromedp"
)

// The conditions of a run, as JavaScript expressions. Visible text is read from the document.
// Complete texts come from the editors' models, since Monaco adds only visible lines to the
// document.
const (
	// model returns the text of one of GraphiQL's editors, by the end of its model's name.
	model = `(end => globalThis.__MONACO?.editor.getModels().find(m => m.uri.path.endsWith(end))?.getValue() ?? '')`

	// visibleLines returns the visible text of an editor. Monaco writes spaces as no-break
	// spaces.
	visibleLines = `(area => (document.querySelector(area + ' .view-lines')?.innerText ?? '').replaceAll('\u00a0', ' '))`

	// Monaco gives coloured tokens a class mtk… above 1. A text without one is not highlighted
	// yet.
	editorReady = visibleLines + `('.graphiql-query-editor').trim() !== '' &&
		document.querySelectorAll('.graphiql-query-editor .view-line span[class^=mtk]:not(.mtk1)').length > 0 &&
		document.fonts.status === 'loaded'`

	// The editor validates and completes operations once it has the schema.
	schemaReady = `(globalThis.__MONACO?.languages.graphql?.api?.schemas?.length ?? 0) > 0`

	docsReady = `document.querySelectorAll('.graphiql-doc-explorer .graphiql-doc-explorer-content a').length > 0`

	answerReady = visibleLines + `('.graphiql-response').trim() !== '' &&
		document.querySelector('.graphiql-response .graphiql-spinner') === null`

	readPage = `({
		Tabs: [...document.querySelectorAll('[id^=graphiql-session-tab-]')].map(tab => tab.innerText.trim()),
		Query: ` + model + `('operation.graphql'),
		Variables: ` + model + `('variables.json'),
		Headers: ` + model + `('request-headers.json'),
		Response: ` + model + `('response.json'),
		Visible: ` + visibleLines + `('.graphiql-query-editor'),
	})`

	pollInterval = 50 * time.Millisecond
)

// wait waits for the condition, and returns an error with the condition's name if the context
// ends first. It polls from Go: chromedp's own polling compiles functions in the page, which
// the page's policy forbids.
func wait(ctx context.Context, what, condition string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition))
		var refused *cdproto.Error
		if err != nil && (!errors.As(err, &refused) || ctx.Err() != nil) { // Chromium refuses while the page is replaced
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if err == nil && holds {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}
