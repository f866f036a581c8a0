package consoleclient

import (
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/internal/fault"
)

type gqlMarshaler interface{ MarshalGQL(io.Writer) }

type gqlUnmarshaler interface{ UnmarshalGQL(any) error }

func gql(v gqlMarshaler) string {
	var b strings.Builder
	v.MarshalGQL(&b)
	return b.String()
}

func TestInt(t *testing.T) {
	for wire, want := range map[string]Int{
		`0`: 0, `7`: 7, `-7`: -7, `"7"`: 7, `" 8 "`: 8, `null`: 0, `""`: 0, `"x"`: 0, `true`: 0, `[1]`: 0, `{"a":1}`: 0,
		`3.9`: 3, `1e3`: 1000, `"1e3"`: 1000, `2147483647`: math.MaxInt32, `2147483648`: math.MaxInt32,
		`-2147483649`: math.MinInt32, `9223372036854775807`: math.MaxInt32, `"99999999999999999999999"`: math.MaxInt32,
		`-1e300`: math.MinInt32, `1e999`: math.MaxInt32, `"NaN"`: 0,
	} {
		got := Int(-1)
		if err := jsonv2.Unmarshal([]byte(wire), &got); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", wire, got, err, want)
		}
	}
	var count struct{ N *Int }
	if err := jsonv2.Unmarshal([]byte(`{"N":null}`), &count); err != nil || count.N != nil {
		t.Errorf("null is %v, %v", count.N, err)
	}
	if got := gql(Int(-5)); got != "-5" {
		t.Errorf("GraphQL: %s", got)
	}
	for _, good := range []any{5, int32(5), int64(5), 5.0, json.Number("5")} {
		var i Int
		if err := i.UnmarshalGQL(good); err != nil || i != 5 {
			t.Errorf("%T: got %d, %v", good, i, err)
		}
	}
	for _, bad := range []any{"5", nil, 5.5, int64(math.MaxInt32) + 1, math.NaN(), math.Inf(1), 1e30, json.Number("x"), json.Number("3000000000"), true} {
		var i Int
		if err := i.UnmarshalGQL(bad); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%v: got %d, %v", bad, i, err)
		}
	}
}

func TestOptionalID(t *testing.T) {
	for want, good := range map[OptionalID][]any{
		"":                                     {nil},
		"b0adccf0-97a7-4d27-9dc5-ede4096c3ffb": {"b0adccf0-97a7-4d27-9dc5-ede4096c3ffb", "B0ADCCF0-97A7-4D27-9DC5-EDE4096C3FFB"},
	} {
		for _, input := range good {
			id := OptionalID("other")
			if err := id.UnmarshalGQL(input); err != nil || id != want {
				t.Errorf("%v: got %q, %v", input, id, err)
			}
		}
	}
	for _, bad := range []any{"", "null", "x", 42, []any{}, map[string]any{}} {
		var id OptionalID
		if err := id.UnmarshalGQL(bad); fault.CodeOf(err) != fault.BadUserInput || id != "" {
			t.Errorf("%v: got %q, %v", bad, id, err)
		}
	}
	if got := gql(OptionalID("x")) + gql(OptionalID("")); got != `"x"null` {
		t.Errorf("GraphQL: %s", got)
	}
}

// TestPlainTimes: parsing does not change the times that the fast path accepts.
func TestPlainTimes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	plain := 0
	for range 200_000 {
		s := []byte([...]string{"2022-07-29T12:13:49.775Z", "2000-01-01T00:00:00Z", "2099-12-28T23:59:59.123456789Z"}[random.IntN(3)])
		for range 1 + random.IntN(2) {
			s[random.IntN(len(s))] = "0123456789-:.,TZtz+ "[random.IntN(20)]
		}
		if !isPlainTime(string(s)) {
			continue
		}
		plain++
		if parsed, err := parseDateTime(string(s)); err != nil || string(parsed) != string(s) {
			t.Fatalf("%s: parsed %q, %v", s, parsed, err)
		}
	}
	if plain < 10_000 || isPlainTime("2022-02-29T00:00:00Z") || isPlainTime("2022-07-29T12:13:49.Z") {
		t.Errorf("%d plain times", plain)
	}
}

func TestDateTime(t *testing.T) {
	for wire, want := range map[string]DateTime{
		"2022-07-29T12:13:49.775Z":          "2022-07-29T12:13:49.775Z",
		"2022-07-29T12:13:49Z":              "2022-07-29T12:13:49Z",
		"2022-07-29T12:13:49.7700000Z":      "2022-07-29T12:13:49.7700000Z", // unchanged
		"2022-07-29T12:13:49.775z":          "2022-07-29T12:13:49.775Z",
		"2022-07-29t12:13:49Z":              "2022-07-29T12:13:49Z",
		"2022-07-29 12:13:49Z":              "2022-07-29T12:13:49Z",
		"2022-07-29T12:13:49":               "2022-07-29T12:13:49Z",
		"2022-07-29T12:13:49.7751234":       "2022-07-29T12:13:49.7751234Z",
		"2022-07-29T20:13:49.5+08:00":       "2022-07-29T12:13:49.5Z",
		"2022-07-29T12:13:49+00:00":         "2022-07-29T12:13:49Z",
		"2022-07-29T20:13:49+0800":          "2022-07-29T12:13:49Z",
		"2022-07-29 20:13:49.25+0800":       "2022-07-29T12:13:49.25Z",
		"2022-07-29T20:13:49+08":            "2022-07-29T12:13:49Z",
		"2022-07-29T08:43:49.5-0330":        "2022-07-29T12:13:49.5Z",
		"2022-07-29T12:13:49-00":            "2022-07-29T12:13:49Z",
		"2022-07-29T12:13:49,5Z":            "2022-07-29T12:13:49.5Z",
		"0001-01-01T00:00:00":               "",
		"0001-01-01T00:00:00Z":              "",
		"0001-01-01T00:00:00.0000000+08:00": "",
		"9999-12-31T23:59:59-01:00":         "",
		"":                                  "",
	} {
		got, err := dateTimeOf(wire)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", wire, got, err, want)
		}
		if got != "" {
			if again, err := time.Parse(time.RFC3339, string(got)); err != nil || !got.Time().Equal(again) || got.Time().Location() != time.UTC {
				t.Errorf("%s: %v is not RFC 3339: %v", wire, got, err)
			}
		}
		var decoded DateTime
		if err := jsonv2.Unmarshal([]byte(`"`+wire+`"`), &decoded); err != nil || decoded != want {
			t.Errorf("%s: decoded %q, %v", wire, decoded, err)
		}
	}
	for _, wire := range []string{`null`, `5`, `"yesterday"`, `"2022-13-01T00:00:00Z"`, `{}`, `[]`, `true`} {
		d := DateTime("x")
		if err := jsonv2.Unmarshal([]byte(wire), &d); err != nil || d != "" {
			t.Errorf("%s: got %q, %v", wire, d, err)
		}
	}
	if !DateTime("").Time().IsZero() {
		t.Error("no time is not the zero time")
	}
	if got := gql(DateTime("")) + gql(DateTime("2022-07-29T12:13:49Z")) + gql(DateTime(`20"22`)); got != `null"2022-07-29T12:13:49Z""20\"22"` {
		t.Errorf("GraphQL: %s", got)
	}
	var d DateTime
	if err := d.UnmarshalGQL("2022-07-29T20:13:49+08:00"); err != nil || d != "2022-07-29T12:13:49Z" {
		t.Errorf("got %q, %v", d, err)
	}
	if err := d.UnmarshalGQL(nil); err != nil || d != "" {
		t.Errorf("null: got %q, %v", d, err)
	}
	for _, bad := range []any{"", "yesterday", "2022-07-29", "0001-01-01T00:00:00Z", 5, true} {
		if err := d.UnmarshalGQL(bad); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%v: got %q, %v", bad, d, err)
		}
	}
}

func TestEnums(t *testing.T) {
	var robot RobotStatus
	for input, want := range map[string]RobotStatus{
		"DISCONNECTED": RobotStatusDisconnected, "READY": RobotStatusReady, "BUSY": RobotStatusBusy,
	} {
		if err := robot.UnmarshalGQL(input); err != nil || robot != want || gql(robot) != `"`+input+`"` {
			t.Errorf("%s: got %d, %v", input, robot, err)
		}
	}
	for _, bad := range []any{"UNKNOWN", "Ready", "ready", "", nil, 1, true} {
		if err := robot.UnmarshalGQL(bad); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%v was accepted as %d: %v", bad, robot, err)
		}
	}
	for value, want := range map[gqlMarshaler]string{
		RobotStatusUnknown: `"UNKNOWN"`, RobotStatus(200): `"UNKNOWN"`, VideoRecordModeNeverRecord: `"NEVER_RECORD"`,
		LicenseStatusServerLicensed: `"SERVER_LICENSED"`, TriggerPolicySkipWhenNoResource: `"SKIP_WHEN_NO_RESOURCE"`,
		ArgumentDirectionInOut: `"IN_OUT"`, ResourceTypeRpaLicenseBinding: `"RPA_LICENSE_BINDING"`,
		JobStateCancelled: `"CANCELLED"`, JobStartupTypeTaskQueue: `"TASK_QUEUE"`, CompanyEditionCommunity: `"COMMUNITY"`,
		UserStatusBanned: `"BANNED"`,
	} {
		if got := gql(value); got != want {
			t.Errorf("%v: got %s, want %s", value, got, want)
		}
	}
	if b, err := RobotStatus(200).MarshalText(); err != nil || len(b) != 0 {
		t.Errorf("got %s, %v", b, err)
	}
}

// The last constant of each enum has the document's position, and both JSON packages write its name.
func TestEnumConstants(t *testing.T) {
	for want, c := range map[string]struct {
		last  any
		table *enum
	}{
		"Community":        {CompanyEditionCommunity, companyEditions},
		"InOut":            {ArgumentDirectionInOut, argumentDirections},
		"PoolLicensed":     {LicenseStatusPoolLicensed, licenseStatuses},
		"Busy":             {RobotStatusBusy, robotStatuses},
		"Banned":           {UserStatusBanned, userStatuses},
		"TaskQueue":        {ResourceTypeTaskQueue, resourceTypes},
		"AlwaysReport":     {VideoRecordModeAlwaysReport, videoRecordModes},
		"AnyTime":          {TriggerPolicyAnyTime, triggerPolicies},
		"Paused":           {JobStatePaused, jobStates},
		"TaskQueue (jobs)": {JobStartupTypeTaskQueue, jobStartupTypes},
	} {
		if got := int(reflect.ValueOf(c.last).Uint()); got != len(c.table.names)-1 {
			t.Errorf("%s is %d of %d", want, got, len(c.table.names)-1)
		}
		name, _, _ := strings.Cut(want, " ")
		v1, err1 := json.Marshal(c.last)
		v2, err2 := jsonv2.Marshal(c.last)
		if err1 != nil || err2 != nil || string(v1) != `"`+name+`"` || string(v2) != string(v1) {
			t.Errorf("%s: sent as %s and %s (%v, %v)", want, v1, v2, err1, err2)
		}
		again := reflect.New(reflect.TypeOf(c.last))
		input := strings.Trim(gql(c.last.(gqlMarshaler)), `"`)
		if err := again.Interface().(gqlUnmarshaler).UnmarshalGQL(input); err != nil || again.Elem().Interface() != c.last {
			t.Errorf("%s: GraphQL's %s is %v, %v", want, input, again.Elem(), err)
		}
	}
}

// TestDateTimeInput: input requires RFC 3339 with an offset, without which the time is ambiguous.
func TestDateTimeInput(t *testing.T) {
	const offset, form, years = "without an offset", "is not an RFC 3339 time", "years 2 to 9999"
	for input, want := range map[string]struct {
		time  DateTime
		wrong string
	}{
		"2026-11-28T08:00:00Z":           {"2026-11-28T08:00:00Z", ""},
		"2026-11-28T08:00:00+08:00":      {"2026-11-28T00:00:00Z", ""},
		"2026-11-28T08:00:00-00:30":      {"2026-11-28T08:30:00Z", ""},
		"2026-11-28t08:00:00.5z":         {"2026-11-28T08:00:00.5Z", ""},
		"2026-11-28 08:00:00.123456789Z": {"2026-11-28T08:00:00.123456789Z", ""},
		"2024-02-29T23:59:59Z":           {"2024-02-29T23:59:59Z", ""},
		"2026-11-28T08:00:00":            {"", offset},
		"2026-11-28T08:00:00.5":          {"", offset},
		"2026-11-28 08:00:00":            {"", offset},
		"2026-11-28T08:00:00+0800":       {"", offset},
		"2026-11-28T08:00:00 CST":        {"", offset},
		"2026-11-28":                     {"", form},
		"2026-11-28T08:00Z":              {"", form},
		"2026-11-28T8:00:00Z":            {"", form},
		"2026-11-28T08:00:00,5Z":         {"", form},
		" 2026-11-28T08:00:00Z":          {"", form},
		"2026-02-30T08:00:00Z":           {"", form},
		"2026-11-28T24:00:00Z":           {"", form},
		"2026-11-28T08:00:60Z":           {"", form},
		"2026-11-28T08:00:00+23:59":      {"2026-11-27T08:01:00Z", ""},
		"2026-11-28T08:00:00+25:00":      {"", form},
		"2026-11-28T08:00:00+24:00":      {"", form},
		"2026-11-28T08:00:00-24:00":      {"", form},
		"2026-11-28T08:00:00.5+08:60":    {"", form},
		"0001-01-01T00:00:00Z":           {"", years},
		"1764316800":                     {"", form},
		"":                               {"", form},
		"yesterday":                      {"", form},
	} {
		var got DateTime
		err := got.UnmarshalGQL(input)
		if got != want.time || (err == nil) != (want.wrong == "") || err != nil && (!strings.Contains(err.Error(), want.wrong) || fault.CodeOf(err) != fault.BadUserInput) {
			t.Errorf("%q is read as %q, %v", input, got, err)
		}
	}
	var got DateTime
	for _, input := range []any{5, int64(1764316800), json.Number("1"), true, []any{}, map[string]any{}} {
		if err := got.UnmarshalGQL(input); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%v is read as %q, %v", input, got, err)
		}
	}
}
