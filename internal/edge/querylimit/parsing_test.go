package querylimit

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
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
