package graphqlhttp

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// verdictOf returns the argument and the message of an error, or nothing.
func verdictOf(err error) string {
	var faultErr *fault.Error
	if err == nil {
		return ""
	}
	if !errors.As(err, &faultErr) {
		return "no refusal: " + err.Error()
	}
	return faultErr.Error()
}

func TestParseParameters(t *testing.T) {
	const surrogate = "holds one half of a surrogate pair, which is no character"
	for name, tt := range map[string]struct{ body, want string }{
		"plain":                   {`{"query":"{a}"}`, ""},
		"mark":                    {"\uFEFF" + `{"query":"{a}"}`, ""},
		"two marks":               {"\uFEFF\uFEFF" + `{"query":"{a}"}`, apierror.NotAnOperation},
		"space around":            {" \r\n\t" + `{"query":"{a}"}` + " \n", ""},
		"all":                     {`{"query":"{a}","operationName":null,"variables":null,"extensions":null}`, ""},
		"unknown member":          {`{"query":"{a}","id":"q1","document":{"a":[1]}}`, ""},
		"document id":             {`{"documentId":{"a":[1]}}`, "documentId: is not a string"},
		"two document ids":        {`{"documentId":"a","doc_id":"b"}`, "doc_id: differs from the other name of the document"},
		"one document id":         {`{"documentId":"a","doc_id":"a"}`, ""},
		"a document id, prefixed": {`{"documentId":"a","doc_id":"sha256:a"}`, ""},
		"other case":              {`{"query":"{a}","Query":1}`, ""},
		"empty object":            {`{}`, ""},
		"nothing":                 {``, apierror.NotAnOperation},
		"array":                   {`[{"query":"{a}"}]`, "operations are not sent together: send each in a request of its own"},
		"empty array":             {`[]`, apierror.NotAnOperation},
		"array of texts":          {`["{a}"]`, apierror.NotAnOperation},
		"array of all kinds":      {`[{"query":"{a}"},1]`, apierror.NotAnOperation},
		"cut array":               {`[{"query":"{a}"},`, apierror.NotAnOperation},
		"text":                    {`"{a}"`, apierror.NotAnOperation},
		"null":                    {`null`, apierror.NotAnOperation},
		"behind":                  {`{"query":"{a}"}{}`, apierror.NotAnOperation},
		"comma behind":            {`{"query":"{a}",}`, apierror.NotAnOperation},
		"NaN":                     {`{"query":"{a}","variables":{"n":NaN}}`, apierror.NotAnOperation},
		"Infinity":                {`{"query":"{a}","variables":{"n":-Infinity}}`, apierror.NotAnOperation},
		"leading zero":            {`{"query":"{a}","variables":{"n":01}}`, apierror.NotAnOperation},
		"comment":                 {`{"query":"{a}" /* x */}`, apierror.NotAnOperation},
		"single quotes":           {`{'query':'{a}'}`, apierror.NotAnOperation},
		"raw control":             {"{\"query\":\"{a\n}\"}", apierror.NotAnOperation},
		"unfinished":              {`{"query":"{a}"`, apierror.NotAnOperation},
		"twice":                   {`{"query":"{a}","query":"{b}"}`, "query: is there more than once"},
		"twice, escaped":          {`{"variables":{},"v\u0061riables":{}}`, "variables: is there more than once"},
		"query a number":          {`{"query":1}`, "query: is not a string"},
		"query a list":            {`{"query":["{a}"]}`, "query: is not a string"},
		"name a number":           {`{"query":"{a}","operationName":1}`, "operationName: is not a string"},
		"variables a list":        {`{"query":"{a}","variables":[]}`, "variables: is not a JSON object"},
		"variables a text":        {`{"query":"{a}","variables":"{}"}`, "variables: is not a JSON object"},
		"extensions a text":       {`{"query":"{a}","extensions":"x"}`, "extensions: is not a JSON object"},
		"extensions a number":     {`{"query":"{a}","extensions":0}`, "extensions: is not a JSON object"},
		"long name":               {`{"query":"{a}","operationName":"` + strings.Repeat("n", 129) + `"}`, "operationName: is longer than 128 bytes"},
		"GBK":                     {"{\"query\":\"{a}\",\"variables\":{\"n\":\"\xc4\xe3\xba\xc3\"}}", "the request is not encoded in UTF-8"},
		"GBK that looks escaped":  {"{\"query\":\"{a}\",\"variables\":{\"n\":\"\x81\x5c\"}}", "the request is not encoded in UTF-8"},
		"Latin-1":                 {"{\"query\":\"{a}\",\"operationName\":\"M\xfcller\"}", "the request is not encoded in UTF-8"},
		"Latin-1 in a name":       {"{\"query\":\"{a}\",\"\xfc\":1}", "the request is not encoded in UTF-8"},
		"UTF-16":                  {"\xff\xfe{\x00}\x00", "the request is not encoded in UTF-8"},
		"overlong":                {"{\"query\":\"\xc0\xaf\"}", "the request is not encoded in UTF-8"},
		"raw surrogate":           {"{\"query\":\"\xed\xa0\x80\"}", "the request is not encoded in UTF-8"},
		"high half":               {`{"query":"{a}","variables":{"input":{"name":"x\ud800"}}}`, "variables.input.name: " + surrogate},
		"low half":                {`{"query":"{a}","variables":{"n":"\uDC00x"}}`, "variables.n: " + surrogate},
		"halves reversed":         {`{"query":"{a}","variables":{"l":["a","\uDE00\uD83D"]}}`, "variables.l.1: " + surrogate},
		"two high halves":         {`{"query":"{a}","variables":{"n":"\ud83d\ud83d\ude00"}}`, "variables.n: " + surrogate},
		"half before a letter":    {`{"query":"{a}","variables":{"n":"\ud83d\u0041"}}`, "variables.n: " + surrogate},
		"half in the query":       {`{"query":"\ud800"}`, "query: " + surrogate},
		"pair":                    {`{"query":"{a}","variables":{"n":"\ud83d\ude00"}}`, ""},
		"no character":            {`{"query":"{a}","variables":{"n":"\uffff\ufffe\u0000"}}`, ""},
		"nesting":                 {`{"query":"{a}","variables":{"n":` + strings.Repeat("[", 200_000), apierror.NotAnOperation},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseParameters([]byte(tt.body)); verdictOf(err) != tt.want {
				t.Errorf("%q, want %q", verdictOf(err), tt.want)
			}
		})
	}
}

// TestSetQueryString verifies what is read of the query string of a POST.
func TestSetQueryString(t *testing.T) {
	for raw, tt := range map[string]struct{ body, id, want string }{
		"":                           {`{}`, "", ""},
		"documentId=b%3Aa":           {`{}`, "b:a", ""},
		"a=1&doc_id=a&query=x&%zz&;": {`{}`, "a", ""},
		"documentId=a":               {`{"documentId":"sha256:a"}`, "a", ""},
		"documentId=":                {`{"documentId":"a"}`, "a", ""},
		"doc_id=b":                   {`{"documentId":"a"}`, "a", "doc_id: differs from the other name of the document"},
		"documentId=a&doc_id=b":      {`{}`, "a", "doc_id: differs from the other name of the document"},
		"documentId=%zz":             {`{}`, "", "documentId: cannot be decoded"},
		"documentId=%C4%E3":          {`{}`, "", "documentId: cannot be decoded"},
		"documentId=a&documentId=a":  {`{}`, "a", ""},
		"variables=%7B&extensions=1": {`{}`, "", ""},
	} {
		p, err := ParseParameters([]byte(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := verdictOf(p.SetQueryString(raw)); got != tt.want || strings.TrimPrefix(p.DocumentID, HashPrefix) != tt.id {
			t.Errorf("%s: %q, want %q; the id is %q", raw, got, tt.want, p.DocumentID)
		}
	}
}

func TestParseQueryString(t *testing.T) {
	for name, tt := range map[string]struct{ raw, want string }{
		"plain":              {"query=%7Ba%7D&variables=%7B%7D&operationName=&extensions=", ""},
		"null":               {"query=%7Ba%7D&variables=null", ""},
		"byte order marks":   {"query=%EF%BB%BF%7Ba%7D&variables=%EF%BB%BF%7B%7D&extensions=%EF%BB%BFnull", ""},
		"two of them":        {"query=%7Ba%7D&variables=%EF%BB%BF%EF%BB%BF%7B%7D", "variables: is not a JSON object"},
		"others":             {"query=%7Ba%7D&utm=%C4%E3&utm=x", ""},
		"nothing":            {"", ""},
		"twice":              {"query=%7Ba%7D&query=%7Bb%7D", "query: is there more than once"},
		"GBK":                {"query=%7Ba%7D&variables=%7B%22n%22%3A%22%C4%E3%22%7D", "variables: is not encoded in UTF-8"},
		"GBK in the query":   {"query=%C4%E3", "query: is not encoded in UTF-8"},
		"GBK in the name":    {"query=%7Ba%7D&operationName=%C4%E3", "operationName: is not encoded in UTF-8"},
		"raw GBK":            {"query=\xc4\xe3", "query: is not encoded in UTF-8"},
		"half":               {"query=%7Ba%7D&variables=%7B%22n%22%3A%22%5Cud800%22%7D", "variables.n: holds one half of a surrogate pair, which is no character"},
		"broken escape":      {"query=%7Ba%7D&variables=%7", "variables: cannot be decoded"},
		"semicolon":          {"query=%7Ba%7D;variables=%7B%7D", "the query string cannot be decoded"},
		"variables a list":   {"query=%7Ba%7D&variables=%5B%5D", "variables: is not a JSON object"},
		"variables no JSON":  {"query=%7Ba%7D&variables=x", "variables: is not a JSON object"},
		"behind":             {"query=%7Ba%7D&variables=%7B%7D1", "variables: is not a JSON object"},
		"NaN":                {"query=%7Ba%7D&variables=%7B%22n%22%3ANaN%7D", "variables: is not a JSON object"},
		"extensions a text":  {"query=%7Ba%7D&extensions=%22x%22", "extensions: is not a JSON object"},
		"long operationName": {"operationName=" + strings.Repeat("n", 129), "operationName: is longer than 128 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseQueryString(tt.raw); verdictOf(err) != tt.want {
				t.Errorf("%q, want %q", verdictOf(err), tt.want)
			}
		})
	}
}

// TestParametersByBodyAndQueryString verifies that both forms have the same result.
func TestParametersByBodyAndQueryString(t *testing.T) {
	members := map[string]string{"query": "{ ä😀 }", "operationName": "Q", "variables": `{"a": [1.50, "b"]}`, "extensions": `{"x": {}}`}
	values := url.Values{}
	for name, value := range members {
		values.Set(name, value)
	}
	body := `{"query":"{ ä\ud83d\ude00 }","operationName":"Q","variables":{"a": [1.50, "b"]},"extensions":{"x": {}}}`
	posted, err := ParseParameters([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	queried, err := ParseQueryString(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Parameters{posted, queried} {
		got := map[string]string{"query": p.Query, "operationName": p.OperationName, "variables": string(p.Variables), "extensions": string(p.Extensions)}
		for name, want := range members {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
	}
}

func TestCheckCharset(t *testing.T) {
	for contentType, ok := range map[string]bool{
		"application/json":                             true,
		"application/json; charset=utf-8":              true,
		`application/json; charset="UTF-8"`:            true,
		"application/json;CHARSET=Utf8":                true,
		"application/json; charset=us-ascii":           true,
		"application/json; charset=gbk":                false,
		"application/json; charset=GB18030":            false,
		"application/json; charset=iso-8859-1":         false,
		"application/json; charset=utf-16le":           false,
		`multipart/form-data; boundary=b; charset=gbk`: false,
		"":      true, // no body
		"junk;": true, // which no transport takes
	} {
		if err := CheckCharset(contentType); (err == nil) != ok {
			t.Errorf("%q: %v", contentType, err)
		}
	}
}

// TestPersistedQueriesOfExtensions verifies that there is one form of the extension, whichever way a request comes.
func TestPersistedQueriesOfExtensions(t *testing.T) {
	const form = "extensions.persistedQuery: is not an object of version, the number 1, and sha256Hash, a string of 1 to 1024 bytes"
	hash := strings.Repeat("0a", 32)
	for name, tt := range map[string]struct{ extensions, want, hash string }{
		"others":               {`{"a":1,"a":2}`, "", ""},
		"null":                 {`{"persistedQuery":null}`, "", ""},
		"one":                  {`{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"},"a":{}}`, "", hash},
		"escaped":              {`{"persisted\u0051uery":{"version":1,"sha256H\u0061sh":"` + hash + `"}}`, "", hash},
		"with miss, of urql":   {`{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `","miss":true}}`, "", hash},
		"no object":            {`{"persistedQuery":[]}`, form, ""},
		"a text":               {`{"persistedQuery":"` + hash + `"}`, form, ""},
		"empty":                {`{"persistedQuery":{}}`, form, ""},
		"no hash":              {`{"persistedQuery":{"version":1}}`, form, ""},
		"no version":           {`{"persistedQuery":{"sha256Hash":"` + hash + `"}}`, form, ""},
		"another version":      {`{"persistedQuery":{"version":2,"sha256Hash":"` + hash + `"}}`, form, ""},
		"a version as a text":  {`{"persistedQuery":{"version":"1","sha256Hash":"` + hash + `"}}`, form, ""},
		"a version as a float": {`{"persistedQuery":{"version":1.0,"sha256Hash":"` + hash + `"}}`, form, ""},
		"upper case":           {`{"persistedQuery":{"version":1,"sha256Hash":"` + strings.ToUpper(hash) + `"}}`, "", strings.ToUpper(hash)},
		"a prefix":             {`{"persistedQuery":{"version":1,"sha256Hash":"sha256:` + hash + `"}}`, "", "sha256:" + hash},
		"SHA-1":                {`{"persistedQuery":{"version":1,"sha256Hash":"` + hash[:40] + `"}}`, "", hash[:40]},
		"an id":                {`{"persistedQuery":{"version":1,"sha256Hash":"Robots"}}`, "", "Robots"},
		"the longest":          {`{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 1024) + `"}}`, "", strings.Repeat("0", 1024)},
		"no text":              {`{"persistedQuery":{"version":1,"sha256Hash":""}}`, form, ""},
		"long":                 {`{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 1025) + `"}}`, form, ""},
		"a hash of a number":   {`{"persistedQuery":{"version":1,"sha256Hash":1}}`, form, ""},
		"a hash of null":       {`{"persistedQuery":{"version":1,"sha256Hash":null}}`, form, ""},
		"names in other case":  {`{"persistedQuery":{"Version":1,"SHA256HASH":"` + hash + `"}}`, form, ""},
		"two hashes":           {`{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `","sha256Hash":"` + hash + `"}}`, form, ""},
		"twice":                {`{"persistedQuery":null,"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`, "persistedQuery: is there more than once", ""},
	} {
		t.Run(name, func(t *testing.T) {
			one, err := ParseParameters([]byte(`{"extensions":` + tt.extensions + `}`))
			two, other := ParseQueryString("extensions=" + url.QueryEscape(tt.extensions))
			if verdictOf(err) != tt.want || verdictOf(other) != tt.want {
				t.Fatalf("%q and %q, want %q", verdictOf(err), verdictOf(other), tt.want)
			}
			if err != nil {
				return
			}
			for _, p := range []*Parameters{one, two} {
				members, _ := p.Raw().Extensions["persistedQuery"].(map[string]any)
				if p.PersistedID() != tt.hash || (members == nil) != (tt.hash == "") || members != nil && (members["sha256Hash"] != tt.hash || len(members) != 2) {
					t.Errorf("%q, %v", p.PersistedID(), members)
				}
				if _, _, ok := p.Hash(); ok != (tt.hash == hash) {
					t.Errorf("%q is a hash: %v", tt.hash, ok)
				}
				p.SetDocument("{ a }")
				if extensions := p.Raw().Extensions; extensions != nil {
					t.Errorf("beside a trusted document: %v", extensions)
				}
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	long := Truncate(strings.Repeat("ä", 200_000))
	if len(long) > maxEchoed+len("…") || !json.Valid([]byte(`"`+long+`"`)) {
		t.Errorf("%d bytes: %q", len(long), long)
	}
	if Truncate("ä") != "ä" {
		t.Errorf("%q", Truncate("ä"))
	}
}
