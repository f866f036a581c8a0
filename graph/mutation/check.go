package mutation

import (
	"errors"
	"strconv"
	"strings"
	"unicode"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
)

// The bounds of the console document's sections Workflows: create, update and execute.
const (
	maxPriority   = 5000
	maxRetryCount = 10
)

// checks records the first error of an input.
type checks struct{ err error }

// maxLine bounds a text of one line, in bytes.
const maxLine = 4 << 10

// line refuses a text of one line that has control characters or is too long.
func (c *checks) line(argument string, text *string) {
	if c.err == nil && text != nil {
		c.err = fault.CheckLine(argument, *text, maxLine)
	}
}

// name checks a name: it must be a valid line and not empty.
func (c *checks) name(argument string, text *string) {
	c.line(argument, text)
	if c.err == nil && text != nil && strings.TrimSpace(*text) == "" {
		c.err = fault.BadInput(argument, "is empty")
	}
}

// text refuses control characters, except those for paragraphs.
func (c *checks) text(argument string, text *string) {
	if c.err == nil && text != nil && strings.ContainsFunc(*text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	}) {
		c.err = fault.BadInput(argument, "holds a control character")
	}
}

// maxItems bounds the elements of a list.
const maxItems = 1000

// maxLength refuses a list with too many elements.
func (c *checks) maxLength(argument string, n int) {
	if c.err == nil && n > maxItems {
		c.err = fault.BadInput(argument, "has more than %d elements", maxItems)
	}
}

func (c *checks) lines(argument string, texts []string) {
	c.maxLength(argument, len(texts))
	for i := range texts {
		c.line(argument+"."+strconv.Itoa(i), &texts[i])
	}
}

func (c *checks) bounds(argument string, n *cc.Int, most cc.Int) {
	if c.err == nil && n != nil && (*n < 0 || *n > most) {
		c.err = fault.BadInput(argument, "%d is not between 0 and %d", *n, most)
	}
}

func (c *checks) arguments(argument string, all []*cc.ArgumentInput) {
	c.maxLength(argument, len(all))
	for i, a := range all {
		at := argument + "." + strconv.Itoa(i)
		c.name(at+".name", &a.Name)
		c.line(at+".type", a.Type)
		c.text(at+".defaultValue", a.DefaultValue)
		if a.AssetContent != nil {
			c.name(at+".assetContent.name", &a.AssetContent.Name)
			c.text(at+".assetContent.description", a.AssetContent.Description)
		}
	}
}

func (c *checks) notification(argument string, n *cc.JobStateNotificationInput) {
	if n != nil {
		c.lines(argument+".conditions", n.Conditions.Value())
		c.lines(argument+".recipients", n.Recipients.Value())
	}
}

func (c *checks) properties(argument string, all cc.StringMap) {
	c.maxLength(argument, len(all))
	for _, p := range all {
		c.line(argument, &p.Name)
		c.text(argument, &p.Value)
	}
}

// ids refuses a list that is empty or too long.
func (c *checks) ids(argument string, ids []string) {
	c.maxLength(argument, len(ids))
	if c.err == nil && len(ids) == 0 {
		c.err = fault.BadInput(argument, "is empty")
	}
}

func (c *checks) key(key *string) {
	var bad *fault.Error
	if c.err == nil && key != nil && errors.As(idempotency.CheckKey(*key), &bad) {
		c.err = fault.BadInput("input.idempotencyKey", "%s", bad.Message)
	}
}
