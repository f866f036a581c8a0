package bench

import (
	"strings"
	"testing"
	"time"
)

func TestSummaryIsRead(t *testing.T) {
	const printed = "Running 1s test @ http://127.0.0.1:1/\n  392 requests in 1.10s, 2.00MB read\n"
	for name, c := range map[string]struct {
		out  string
		want summary
		fail bool
	}{
		"complete":   {printed + "\n" + `{"requests":392,"duration":1099991,"p50":900,"p99":5914,"errors":2}` + "\n", summary{392, 1099991, 900, 5914, 2}, false},
		"none":       {printed, summary{}, true},
		"cut off":    {printed + `{"requests":392,"dura`, summary{}, true},
		"no answers": {printed + `{"requests":0,"duration":1099991,"p50":0,"p99":0,"errors":0}`, summary{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseSummary([]byte(c.out))
			if (err != nil) != c.fail || !c.fail && got != c.want {
				t.Errorf("summary %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestScript(t *testing.T) {
	static := script{Header: map[string]string{"CompanyId": "c"}, Body: `{"query":"a \"b\""}`, Tokens: []string{"one"}}
	for name, c := range map[string]struct {
		change func(*script)
		has    []string
		hasNot []string
	}{
		"one principal": {func(*script) {}, []string{`h["CompanyId"] = "c"`, `wrk.method, wrk.body`, `"{\"query\":\"a \\\"b\\\"\"}"`},
			[]string{"request = function", "delay = function"}},
		"a mix": {func(s *script) {
			s.Tokens, s.Mutation, s.Every, s.Think = []string{"one", "two"}, "m", 100, 53*time.Millisecond
		},
			[]string{`"one", "two"`, "sent % 100 == 0", "delay = function", "* 53 +"}, []string{"wrk.body"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := static
			c.change(&s)
			text, err := s.text()
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range c.has {
				if !strings.Contains(string(text), part) {
					t.Errorf("the script lacks %q:\n%s", part, text)
				}
			}
			for _, part := range c.hasNot {
				if strings.Contains(string(text), part) {
					t.Errorf("the script has %q:\n%s", part, text)
				}
			}
		})
	}
}

func TestLuaStringsAreEscaped(t *testing.T) {
	if got, want := luaString("a\"]]\\\n\x00b"), `"a\"]]\\\n\0b"`; got != want {
		t.Errorf("quoted as %s, want %s", got, want)
	}
}
