package consoleclient

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// The canned responses of these tests come from the console's document. The client reads every example in it, so a
// missing field fails a test.

// documented is one operation of the document.
type documented struct {
	params  []string // of the query string
	request any      // example of the body; nil if there is none
	answer  any      // example of the response; nil if there is none
}

var document = sync.OnceValues(func() (map[string]documented, error) {
	text, err := os.ReadFile("../../graph/schema/testdata/console-api.md")
	if err != nil {
		return nil, err
	}
	path := regexp.MustCompile(`(?m)^\*\*Path：\*\* (/\S+)$`)
	method := regexp.MustCompile(`(?m)^\*\*Method：\*\* (\S+)$`)
	param := regexp.MustCompile(`<tr><td>(\w+)</td><td>`)
	operations := map[string]documented{}
	for _, section := range strings.Split(string(text), "\n#### ") {
		p, m := path.FindStringSubmatch(section), method.FindStringSubmatch(section)
		if p == nil || m == nil {
			continue
		}
		head, rest, _ := strings.Cut(section, "**请求参考示例：**")
		request, answer, _ := strings.Cut(rest, "**响应参考示例：**")
		var d documented
		for _, match := range param.FindAllStringSubmatch(head, -1) {
			d.params = append(d.params, match[1])
		}
		if d.request, err = parseExample(request); err != nil {
			return nil, err
		}
		if d.answer, err = parseExample(answer); err != nil {
			return nil, err
		}
		key := m[1] + " " + p[1]
		if _, again := operations[key]; !again { // the token path occurs twice
			operations[key] = d
		}
	}
	return operations, nil
})

// blanks are the values that the document omits, by key.
var blanks = map[string]string{
	"ListeningStatus":    `["1001","1002"]`,
	"Conditions":         `["Finished","Running"]`,
	"JobStartupType":     `"TaskQueue"`,
	"StartupType":        `"Trigger"`,
	"JobExecutionPolicy": `"AnyTime"`,
	"TriggerPolicy":      `"AnyTime"`,
	"VideoRecordMode":    `"AlwaysReport"`,
}

// parseExample parses the document's pseudo-JSON, which is indented by four spaces.
func parseExample(s string) (any, error) {
	var block []string
	for _, line := range strings.Split(s, "\n") {
		if strings.HasPrefix(line, "    ") {
			block = append(block, line)
		}
	}
	text := strings.Join(block, "\n")
	if !strings.HasPrefix(strings.TrimSpace(text), "{") && !strings.HasPrefix(strings.TrimSpace(text), "[") || strings.Contains(text, "二进制") {
		return nil, nil
	}
	for _, step := range []struct{ pattern, with string }{
		{`\{ /\* .*? \*/ \}`, `[]`},                         // the children of children
		{`,\s*\{\s*// 略[^\n]*\n\s*\}`, ``},                  // the second of each list
		{`(?m)\s*// .*$`, ``},                               // comments
		{`(?m)^(\s*)(\w+): (.*)$`, `$1"$2": $3`},            // keys
		{`(?m)^(\s*"(\w+)": )(,?)$`, "$1\x00$2\x00$3"},      // values left out
		{`(?m)^(\s*"RoleIds": \[)"([^"]*)".*\]`, `$1"$2"]`}, // the same id twice
	} {
		text = regexp.MustCompile(step.pattern).ReplaceAllString(text, step.with)
	}
	for key, value := range blanks {
		text = strings.ReplaceAll(text, "\x00"+key+"\x00", value)
	}
	var v any
	err := json.Unmarshal([]byte(text), &v)
	return v, err
}

// operationOf returns the document's operation with a method and path.
func operationOf(t *testing.T, key string) documented {
	t.Helper()
	all, err := document()
	if err != nil {
		t.Fatal(err)
	}
	d, ok := all[key]
	if !ok {
		t.Fatalf("the document has no %q", key)
	}
	return d
}

// answerID returns the id of the entity in an operation's documented response.
func answerID(t *testing.T, operation string) string {
	t.Helper()
	entity, _ := camel(operationOf(t, operation).answer).(map[string]any)
	id, ok := entity["id"].(string)
	if !ok {
		t.Fatalf("the response to %q has no id", operation)
	}
	return id
}

// opaque reports whether a key's value is data rather than structure.
func opaque(key string) bool {
	return strings.EqualFold(key, "properties") || strings.EqualFold(key, "headers")
}

// mapTree copies a JSON tree and maps each member of an object. It drops a member if the function returns false.
func mapTree(v any, member func(key string, value any) (string, any, bool)) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			k, x, keep := member(key, value)
			if !keep {
				continue
			}
			if !opaque(key) {
				x = mapTree(x, member)
			}
			out[k] = x
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = mapTree(v[i], member)
		}
		return out
	}
	return v
}

// camel converts keys to their form on the wire.
func camel(v any) any {
	return mapTree(v, func(key string, value any) (string, any, bool) {
		if key == "ETag" {
			return "eTag", value, true
		}
		r := []rune(key)
		r[0] = unicode.ToLower(r[0])
		return string(r), value, true
	})
}

// enumKeys are the members with an enum value, by key in camelCase.
var enumKeys = map[string]*enum{
	"edition": companyEditions, "direction": argumentDirections, "licenseStatus": licenseStatuses,
	"resourceType": resourceTypes, "parentResourceType": resourceTypes, "videoRecordMode": videoRecordModes,
	"triggerPolicy": triggerPolicies, "jobExecutionPolicy": triggerPolicies, "state": jobStates,
	"displayState": jobStates, "jobStartupType": jobStartupTypes,
}

// enumOf returns the enum of a member, nil if it has none. "status" belongs to robots and users.
func enumOf(key string, value any) *enum {
	s, _ := value.(string)
	if key == "status" {
		if _, robot := robotStatuses.byName[strings.ToLower(s)]; robot {
			return robotStatuses
		}
		return userStatuses
	}
	return enumKeys[key]
}

// mapEnums replaces each enum value in a tree with camelCase keys.
func mapEnums(v any, replace func(e *enum, value any) (any, bool)) any {
	return mapTree(v, func(key string, value any) (string, any, bool) {
		if e := enumOf(key, value); e != nil {
			x, keep := replace(e, value)
			return key, x, keep
		}
		return key, value, true
	})
}

// TestDocumentIsRead checks the premises of the other tests.
func TestDocumentIsRead(t *testing.T) {
	all, err := document()
	if err != nil {
		t.Fatal(err)
	}
	// 33 operations, without the second use of the token path and the one at the upload channel's URI.
	if got := len(all); got != 31 {
		t.Errorf("the document has %d operations of a path, want 31", got)
	}
	layout := operationOf(t, OpWorkflowLayout).answer
	if list := layout.(map[string]any)["List"].([]any); len(list) != 1 {
		t.Errorf("got %d elements of an example, want 1", len(list))
	}
}
