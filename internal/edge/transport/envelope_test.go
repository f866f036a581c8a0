package transport

import (
	"testing"
)

// TestOpen parses messages of WebSockets.
func TestOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		message string
		want    envelope
		ok      bool
	}{
		"subscribe":              {`{"id":"1","type":"subscribe","payload":{"query":"{a}","query":1}}`, envelope{ID: "1", Type: "subscribe", Payload: []byte(`{"query":"{a}","query":1}`)}, true},
		"blanks and other":       {" {\"x\" : {} , \"type\" : \"ping\" , \"x\" : 1 }\n", envelope{Type: "ping"}, true},
		"null":                   {`{"id":null,"type":"pong","payload":null}`, envelope{Type: "pong", Payload: []byte("null")}, true},
		"escapes":                {`{"id":"\ud83d\ude00","type":"p"}`, envelope{ID: "😀", Type: "p"}, true},
		"a replacement":          {`{"id":"` + "\uFFFD" + `","type":"p"}`, envelope{ID: "\uFFFD", Type: "p"}, true},
		"half a pair":            {`{"id":"\ud83d","type":"p"}`, envelope{}, false},
		"half a pair in payload": {`{"id":"a","type":"p","payload":{"a":"\ud83d"}}`, envelope{ID: "a", Type: "p", Payload: []byte(`{"a":"\ud83d"}`)}, true},
		"half a pair beside":     {`{"id":"a","type":"p","x":"\ud83d"}`, envelope{}, false},
		"half a pair in a list":  {`{"type":"p","x":[{"a":"\ude00"}],"payload":{}}`, envelope{}, false},
		"half a pair in a name":  {`{"id":"a","type":"p","\ud83d":1}`, envelope{}, false},
		"half a pair in both":    {`{"type":"p","x":{"a":"\ud83d"},"payload":{"a":"\ud83d"}}`, envelope{}, false},
		"two ids":                {`{"id":"1","id":"2","type":"subscribe","payload":{}}`, envelope{}, false},
		"two types":              {`{"id":"1","type":"ping","type":"subscribe","payload":{}}`, envelope{}, false},
		"two payloads":           {`{"id":"1","type":"subscribe","payload":{},"payl\u006fad":{}}`, envelope{}, false},
		"no type":                {`{"id":"1"}`, envelope{}, false},
		"an id that is a number": {`{"id":1,"type":"p"}`, envelope{}, false},
		"more":                   {`{"type":"p"} x`, envelope{}, false},
		"two":                    {`{"type":"p"}{"type":"p"}`, envelope{}, false},
		"cut":                    {`{"type":"p"`, envelope{}, false},
		"a list":                 {`[]`, envelope{}, false},
		"nothing":                {``, envelope{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := open([]byte(tt.message))
			if ok != tt.ok || ok && (got.ID != tt.want.ID || got.Type != tt.want.Type || string(got.Payload) != string(tt.want.Payload)) {
				t.Errorf("%v, %+v", ok, got)
			}
		})
	}
}

// TestBeginningOfMessage verifies which operations are known by the beginning of their message.
func TestBeginningOfMessage(t *testing.T) {
	for text, want := range map[string]bool{
		`{"id":"1","type":"subscribe","payload":{"query":"{ a`: true,
		`{"type":"subscribe","id":"1","payl`:                   true,
		`{"payload":{},"type":"subscribe","id":"1"`:            true,
		`{"payload":{"query":"{ a`:                             false,
		`{"type":"subscribe","payload":{"query":"{ a`:          false,
		`{"id":"1","type":"complete","payload":"a`:             false,
		`"id":"1","type":"subscribe"`:                          false,
		``:                                                     false,
	} {
		if e := (envelope{}); e.openBeginning([]byte(text)) != want || want && (e.ID != "1" || !e.busy) {
			t.Errorf("%s: %+v", text, e)
		}
	}
}

// TestInitPayload verifies that credentials come from one place.
func TestInitPayload(t *testing.T) {
	for payload, want := range map[string]bool{
		"":                                     true,
		"null":                                 true,
		"{}":                                   true,
		`{"Authorization":"a"}`:                true,
		`{"Authorization":"a","X":{"a":1}}`:    true,
		`{"X-Api-Key":"a","X-Api-Key":"b"}`:    false,
		`{"X-Api-Key":"a","X-Api-\u004bey":0}`: false,
		`{"X-Api-Key":"\ud83d"}`:               false,
		"[]":                                   false,
		`"a"`:                                  false,
	} {
		if _, got := initPayload([]byte(payload)); got != want {
			t.Errorf("%s: %v", payload, got)
		}
	}
}
