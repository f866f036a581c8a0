package operations

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// canaries are distinct texts, with the place where each was sent.
type canaries map[string]string

func (c canaries) at(place string) string {
	text := "cnry" + strings.ToLower(rand.Text())
	c[text] = place
	return text
}

// check reports the canaries in a text.
func (c canaries) check(t *testing.T, where, text string) {
	t.Helper()
	text = strings.ToLower(text)
	for canary, place := range c {
		if strings.Contains(text, canary) {
			at := strings.Index(text, canary)
			t.Errorf("%s holds what was sent as %s: %s", where, place, text[max(0, at-200):at+len(canary)])
		}
	}
}

// inputs makes values for the inputs of mutations.
type inputs struct {
	canaries
	schema *ast.Schema
	sim    *consolesim.Server
	ids    bool // ids are canaries, too
}

// value returns a value of a type. place names it.
func (in inputs) value(of *ast.Type, place string, all bool) any {
	if of.Elem != nil {
		return []any{in.value(of.Elem, place, all)}
	}
	def := in.schema.Types[of.NamedType]
	switch def.Kind { //nolint:exhaustive // the others are scalars
	case ast.Enum:
		return def.EnumValues[0].Name
	case ast.InputObject:
		fields := make(map[string]any)
		for _, f := range def.Fields {
			if (all || f.Type.NonNull) && f.Type.Name() != "Upload" {
				fields[f.Name] = in.value(f.Type, place+"."+f.Name, all)
			}
		}
		return fields
	}
	switch def.Name {
	case "String":
		return in.at(place)
	case "StringMap":
		return map[string]any{in.at(place + " (key)"): in.at(place)}
	case "ID":
		return in.id(place)
	case "Boolean":
		return true
	case "DateTime":
		return "2026-11-28T12:00:00+08:00"
	default:
		return 1
	}
}

// id returns an id that exists, if the name of the field tells its kind, or a canary.
func (in inputs) id(place string) string {
	d, name := in.sim.Data(), strings.ToLower(place)
	pick := func(ids []string) string { return ids[0] }
	switch {
	case in.ids:
		return in.at(place)
	case strings.Contains(name, "company"):
		return d.MainCompanyID()
	case strings.Contains(name, "department"):
		return d.MainDepartmentID()
	case strings.Contains(name, "robot") && !strings.HasSuffix(name, "workflowid"):
		return pick(d.RobotIDs(d.MainDepartmentID()))
	case strings.Contains(name, "workflow") && !strings.Contains(name, "layout") && !strings.Contains(name, "delete"):
		return pick(d.WorkflowIDs(d.MainDepartmentID()))
	case strings.Contains(name, "queue") && !strings.Contains(name, "delete"):
		return pick(d.QueueIDs(d.MainDepartmentID()))
	default:
		return uuid.NewString()
	}
}

// each calls do with inputs for a mutation: whole ones, one for each optional field, and one whose ids are canaries.
func (in inputs) each(mutation *ast.FieldDefinition, do func(input any)) {
	argument := mutation.Arguments.ForName("input")
	if argument == nil {
		do(nil)
		return
	}
	def := in.schema.Types[argument.Type.Name()]
	do(in.value(argument.Type, mutation.Name, true))
	for _, f := range def.Fields {
		if f.Type.Name() == "Upload" {
			return // TestCanaries sends it in a form
		}
		required, _ := in.value(argument.Type, mutation.Name, false).(map[string]any)
		required[f.Name] = in.value(f.Type, mutation.Name+"."+f.Name, true)
		do(required)
	}
	in.ids = true
	do(in.value(argument.Type, mutation.Name, true))
}

// TestCanaries sends distinct texts in all inputs, credentials and headers, while the console works and while it fails.
// None of them may be in a log, a metric, a trace, or Redis.
func TestCanaries(t *testing.T) {
	t.Parallel()
	store, collector := redistest.Start(t), e2e.NewCollector(t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.ConfigSet(t.Context(), "rdbcompression", "no").Err(); err != nil { // else DUMP compresses texts
		t.Fatal(err)
	}
	types, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	in := inputs{canaries: canaries{}, schema: types}
	k := &e2e.Keyring{T: t}
	var key map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, collector.Configure, func(s *gateway.Settings, sim *consolesim.Server) {
		u := sim.Data().SoloUser()
		k.Account("solo", u)
		key = k.Key("known", "solo", "")
		s.APIKeysFile, s.RedisURL, s.Cache, s.SlowOperation = k.Write(), store.URL(), "on", 1
		_, s.TokenKeys, _ = strings.Cut(e2e.TokenKeys, "=")
		in.canaries[strings.ToLower(u.Password)] = "the password of an account"
		in.canaries[strings.ToLower(s.Password)] = "the password of the default account"
		in.canaries[strings.ToLower(s.TokenKeys)] = "the token keys"
	})
	in.sim = w.Sim
	in.canaries[strings.ToLower(key["X-Api-Key"])] = "an API key"
	session, token := w.SignIn(w.Sim.Data().SoloUser()), w.TokenHeader("demo")
	in.canaries[strings.ToLower(strings.TrimPrefix(session["Authorization"], "Bearer "))] = "a session token"
	in.canaries[strings.ToLower(strings.TrimPrefix(token["Authorization"], "Bearer "))] = "a console token"

	in.mutate(w)
	in.send(w, key, session, token)
	problem := consolesim.Fault{Status: http.StatusInternalServerError, Title: in.at("a title of the console")}
	for _, fault := range []consolesim.Fault{problem, {Status: 200, Body: []byte(`"` + in.at("an answer that is not the console's") + `"`)}, {Drop: true}} {
		stop := w.Sim.Fail(nil, fault)
		in.mutate(w)
		stop()
	}

	metrics := w.Metrics()
	dump := dumpRedis(t, client)
	collector.StopAndCollect(w) // stops the gateway, so that its logs are whole
	in.check(t, "the log", w.Logs.String())
	in.check(t, "a metric", metrics)
	in.check(t, "a trace", string(collector.Raw))
	in.check(t, "Redis", dump)
	for what, text := range map[string][2]string{
		"audit log": {w.Logs.String(), `"log":"audit"`}, "access log": {w.Logs.String(), `"msg":"request"`}, "process log": {w.Logs.String(), `"msg":"slow operation"`},
		"metrics": {metrics, "consoleql_operations_total"}, "traces": {string(collector.Raw), "graphql.operation.type"}, "idempotency records": {dump, "consoleql:idem:"},
	} {
		if !strings.Contains(text[0], text[1]) {
			t.Errorf("the test has looked at no %s", what)
		}
	}
}

// mutate runs all mutations, with their inputs as variables and as literals.
func (in inputs) mutate(w *e2e.World) {
	for _, m := range in.schema.Mutation.Fields {
		in.each(m, func(input any) {
			if input == nil {
				w.Ask("mutation { "+m.Name+" { __typename } }", e2e.Request{})
				return
			}
			argument := m.Arguments.ForName("input").Type.String()
			w.Ask("mutation Do($in: "+argument+") { "+m.Name+"(input: $in) { __typename } }", e2e.Request{Variables: map[string]any{"in": input}})
			literal, _ := json.Marshal(input)
			w.Ask("mutation { "+m.Name+"(input: "+graphQLLiteral(string(literal))+") { __typename } }", e2e.Request{})
		})
	}
}

// graphQLLiteral turns JSON into a literal: names of fields have no quotes.
func graphQLLiteral(text string) string {
	for _, name := range jsonNames(text) {
		text = strings.ReplaceAll(text, `"`+name+`":`, name+":")
	}
	return text
}

func jsonNames(text string) (names []string) {
	parts := strings.Split(text, `":`)
	for _, part := range parts[:len(parts)-1] {
		names = append(names, part[strings.LastIndex(part, `"`)+1:])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// send sends canaries as credentials, as headers, in a URL, in a form, and over a WebSocket.
func (in inputs) send(w *e2e.World, valid ...map[string]string) {
	const query = `query Read { viewer { name } queues { totalCount } }`
	for _, header := range valid {
		w.Ask(query, e2e.Request{Header: header})
	}
	for _, scheme := range []string{"Bearer ", "Basic ", "bearer cqs_", ""} {
		w.Ask(query, e2e.Request{Header: map[string]string{"Authorization": scheme + in.at("Authorization: "+scheme)}})
	}
	all := make(map[string]string)
	for _, name := range []string{
		"X-Api-Key", "CompanyId", "DepartmentId", "User-Agent", "Cookie", "Referer", "Origin", "Accept", "X-Forwarded-For", "Forwarded", "Cache-Control",
		"Idempotency-Key", "X-ConsoleQL-Trace", "Tracestate", "Baggage", "Traceparent", "Apollographql-Client-Name", "X-Request-Id", "Proxy-Authorization", "If-None-Match",
	} {
		value := in.at("header " + name)
		if name == "X-Request-Id" {
			value += "/" // of another form than ids have
		}
		w.Ask(query, e2e.Request{Header: map[string]string{name: value}})
		w.Ask(query, e2e.Request{Header: map[string]string{in.at("name of a header"): "value"}})
		if name != "X-Api-Key" && name != "Origin" && name != "CompanyId" && name != "DepartmentId" {
			all[name] = value
		}
	}
	w.Ask(query, e2e.Request{Header: all})
	w.Ask(`query Find($name: String) { queues(filter: {name: $name}) { totalCount } }`, e2e.Request{Variables: map[string]any{"name": in.at("a variable of a query")}})
	w.Ask(`{ robots(filter: {name: "`+in.at("a literal of a query")+`"}) { totalCount } } # `+in.at("a comment"), e2e.Request{})
	w.Ask(`{ `+in.at("a field that does not exist")+` }`, e2e.Request{})
	w.Send(http.MethodGet, "/"+in.at("a path")+"?"+in.at("a query string"), "", nil)
	w.Send(http.MethodGet, "/graphql?query={viewer{name}}&token="+in.at("a parameter"), "", map[string]string{"Authorization": "Bearer " + in.at("a token")})
	w.Send(http.MethodPost, "/graphql", `{"query": "`+in.at("a body that is no JSON"), map[string]string{"Content-Type": "application/json"})
	w.Send(strings.ToUpper(in.at("a method")), "/graphql", "", nil)
	boundary := in.at("a boundary")
	form := ""
	for _, part := range []string{
		e2e.FormPart(`Content-Disposition: form-data; name="operations"`, fmt.Sprintf(`{"query": %q, "variables": {"file": null}}`, e2e.UploadQuery)),
		e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0": ["variables.file"]}`),
		e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="`+in.at("a file's name")+`"`, in.at("a file")),
	} {
		form += "--" + boundary + "\r\n" + part + "\r\n"
	}
	form += "--" + boundary + "--\r\n"
	w.Send(http.MethodPost, "/graphql", form, map[string]string{"Content-Type": "multipart/form-data; boundary=" + boundary})
	for _, name := range []string{"Authorization", "X-Api-Key", "Else"} {
		s := w.Connect(nil)
		s.Send(e2e.Message{Type: "connection_init", Payload: e2e.Encode(w.T, map[string]string{name: "Bearer " + in.at("payload "+name)})})
		if m, err := s.Read(); err == nil && m.Type == "connection_ack" {
			s.Subscribe("1", `mutation { signIn(input: {username: "`+in.at("a user name over a WebSocket")+`", password: "`+in.at("a password over a WebSocket")+`"}) { sessionToken } }`)
			s.Receive()
		}
	}
}

// dumpRedis returns the names and contents of all keys.
func dumpRedis(t *testing.T, client *redis.Client) string {
	t.Helper()
	var all strings.Builder
	keys := client.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		content, err := client.Dump(t.Context(), keys.Val()).Result()
		if err != nil && !strings.Contains(err.Error(), "nil") { // it has expired meanwhile
			t.Fatal(err)
		}
		all.WriteString(keys.Val() + "\n" + content + "\n")
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}
