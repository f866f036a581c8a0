package browsertest

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
)

// The conditions that a run waits for, as JavaScript expressions. What a person sees is read from the document; whole
// texts come from the editors' models, because Monaco puts only the visible lines into the document.
const (
	// model gives the text of one of GraphiQL's editors, by the end of its model's name.
	model = `(end => globalThis.__MONACO?.editor.getModels().find(m => m.uri.path.endsWith(end))?.getValue() ?? '')`

	// visibleLines gives the text that an editor shows. Monaco writes its spaces as no-break spaces.
	visibleLines = `(area => (document.querySelector(area + ' .view-lines')?.innerText ?? '').replaceAll('\u00a0', ' '))`

	// Monaco colours a token with a class mtk… above 1; a text without any is not highlighted yet.
	editorReady = visibleLines + `('.graphiql-query-editor').trim() !== '' &&
		document.querySelectorAll('.graphiql-query-editor .view-line span[class^=mtk]:not(.mtk1)').length > 0 &&
		document.fonts.status === 'loaded'`

	// The editor checks and completes operations by the schema once it has one.
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

// wait returns when the condition holds, or an error that names it when the context ends before. It asks again and again
// from here: chromedp's own polling makes functions of texts inside the page, which the page's policy forbids.
func wait(ctx context.Context, what, condition string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition))
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if holds {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}
