package querylimit

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/principal"
)

func TestLongDocumentsAreParsedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := graphqlhttp.NewDocuments(graphqlhttp.MaxDocumentBytes, func(string, *ast.QueryDocument) int { return 1 })
		cached := strings.Repeat("c", parsedAtOnce)
		known.Add(t.Context(), cached, &ast.QueryDocument{})
		p := NewParsing(known, 3*time.Second)
		begin := func(text string) (end func(), refused bool) {
			end, err := p.begin(t.Context(), text)
			return end, err != nil
		}
		long := strings.Repeat("l", parsedAtOnce/2)
		first, _ := begin(long)
		second, _ := begin(long)
		for name, text := range map[string]string{"a small document": strings.Repeat("s", smallDocument), "a known one": cached} {
			if _, refused := begin(text); refused {
				t.Errorf("%s waits", name)
			}
		}
		began := time.Now()
		if _, refused := begin(long); !refused || time.Since(began) != 3*time.Second {
			t.Errorf("a third document was refused: %t, after %s", refused, time.Since(began))
		}
		parsed := make(chan bool)
		go func() {
			_, refused := begin(long)
			parsed <- !refused
		}()
		synctest.Wait()
		first()
		if !<-parsed {
			t.Error("a document is refused though another one is parsed")
		}
		second()
	})
}

// TestLongDocumentsOfCallersTakeTurns: of 200 waiting documents of one caller and one of another, the other's is among the
// first two. A document whose caller leaves delays none.
func TestLongDocumentsOfCallersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewParsing(graphqlhttp.NewDocuments(graphqlhttp.MaxDocumentBytes, func(string, *ast.QueryDocument) int { return 1 }), time.Hour)
		type document struct {
			caller string
			end    func()
		}
		begun := make(chan document, 300)
		wait := func(ctx context.Context, caller string, n int) {
			go func() {
				if end, err := p.begin(principal.NewContext(ctx, principal.FromToken(caller)), strings.Repeat("x", n)); err == nil {
					begun <- document{caller, end}
				}
			}()
			synctest.Wait()
		}
		const size = 60 << 10
		wait(t.Context(), "slow", parsedAtOnce-size) // one other at a time
		slow := <-begun
		wait(t.Context(), "first", size)
		leaving, leave := context.WithCancel(t.Context())
		wait(leaving, "leaving", parsedAtOnce)
		for range 200 {
			wait(t.Context(), "flood", size)
		}
		wait(t.Context(), "other", 5<<10)
		leave()
		synctest.Wait()
		(<-begun).end()
		synctest.Wait()
		var order []string
		for range 201 {
			d := <-begun
			order = append(order, d.caller)
			d.end()
			synctest.Wait()
		}
		slow.end()
		if !slices.Contains(order[:2], "other") {
			t.Errorf("the other caller's document is number %d", slices.Index(order, "other")+1)
		}
		if p.free != parsedAtOnce || p.waiting.Len() != 0 {
			t.Errorf("at the end %d bytes are free, and %d documents wait", p.free, p.waiting.Len())
		}
	})
}
