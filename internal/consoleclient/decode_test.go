package consoleclient

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// agreement compares the decoders with json's decoders for one type.
type agreement func(t *testing.T, answer []byte)

func agreementOn[T any]() agreement {
	return func(t *testing.T, text []byte) {
		t.Helper()
		if len(bytes.Trim(text, " \t\r\n")) == 0 || !utf8.Valid(text) {
			return // empty responses are not decoded, and json replaces what is not UTF-8
		}
		type found struct {
			List                []*T
			Positions           []int
			Count, Served       int
			One                 *T
			ListFails, OneFails bool
			Known               error // error of the list
			KnownOne            error
		}
		decode := func(
			list func([]string, func(*T, int)) (int, int, error),
			one func(func(*T) string) (*T, error),
		) found {
			var f found
			var err error
			f.Count, f.Served, err = list([]string{"list", "companies"}, func(e *T, position int) {
				f.List, f.Positions = append(f.List, e), append(f.Positions, position)
			})
			if f.ListFails, f.Known = err != nil, known(err); err != nil {
				f.Count, f.Served, f.List, f.Positions = 0, 0, nil, nil // undefined after an error
			}
			f.One, err = one(nil)
			f.OneFails, f.KnownOne = err != nil, known(err)
			return f
		}
		decoder := func() *jsontext.Decoder { return jsontext.NewDecoder(bytes.NewReader(text), decoding) }
		want := decode(func(names []string, each func(*T, int)) (int, int, error) {
			return listByJSON(decoder(), names, each)
		}, func(id func(*T) string) (*T, error) { return oneByJSON(decoder(), id) })
		got := decode(func(names []string, each func(*T, int)) (int, int, error) {
			return decodeList(smallBuffer(text), names, each)
		}, func(id func(*T) string) (*T, error) { return decodeEntity(smallBuffer(text), id) })
		if !reflect.DeepEqual(want, got) {
			diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }))
			t.Errorf("%T of %q:\n%s", *new(T), text, diff)
		}
	}
}

// smallBuffer is a response that arrives in small pieces in a small buffer.
func smallBuffer(text []byte) *responseReader {
	return &responseReader{scanner: scanner{in: make([]byte, 0, 16), arena: &arena{}}, from: iotest.HalfReader(bytes.NewReader(text))}
}

// known reduces an error to what callers distinguish.
func known(err error) error {
	for _, e := range []error{errNotAList, errNoEntity, errEmptyList} {
		if errors.Is(err, e) {
			return e
		}
	}
	return nil
}

func agreements() []agreement {
	return []agreement{
		agreementOn[Company](), agreementOn[DepartmentTree](), agreementOn[Department](), agreementOn[Package](), agreementOn[PackageVersion](),
		agreementOn[Queue](), agreementOn[Robot](), agreementOn[Workflow](), agreementOn[WorkflowLayout](), agreementOn[WorkflowLayoutNode](),
		agreementOn[JobGroup](), agreementOn[Job](), agreementOn[CompanyUser](), agreementOn[UploadedPackage](), agreementOn[PackageUpload](),
		agreementOn[WorkflowRobotResult](), agreementOn[WorkflowUpgrade](), agreementOn[Argument](), agreementOn[string](),
	}
}

// answers returns responses of a simulated console in each of its dialects.
func answers(t testing.TB, query string, dialects ...consolesim.Dialect) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for i, dialect := range dialects {
		dialectName := strings.Repeat("'", i)
		sim, err := consolesim.Start(context.Background(), consolesim.Options{Dialect: dialect, UnknownEnums: dialect != consolesim.Dialect{}})
		if err != nil {
			t.Fatal(err)
		}
		user, _ := sim.DefaultUser()
		transport := &http.Transport{DisableKeepAlives: true}
		data := sim.Data()
		dept := data.MainDepartmentID()
		get := func(method, path, body string) {
			req, err := http.NewRequestWithContext(t.Context(), method, sim.APIURL()+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+sim.Token(user))
			req.Header.Set("CompanyId", data.MainCompanyID())
			req.Header.Set("DepartmentId", dept)
			req.Header.Set("Content-Type", "application/json")
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode/100 != 2 {
				t.Fatalf("%s: %d, %v: %s", path, resp.StatusCode, err, answer)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			out[path+dialectName] = answer
		}
		for _, path := range []string{
			"companies/companylist", "departments/tree", "packages", "queues", "robots", "workflows", "workflowlayouts", "companyusers/self",
			"packages/" + data.PackageIDs(dept)[0], "queues/" + data.QueueIDs(dept)[0], "robots/" + data.RobotIDs(dept)[0],
			"workflows/" + data.WorkflowIDs(dept)[0], "workflowlayouts/" + data.LayoutIDs(dept)[0],
			"workflows/" + data.WorkflowIDs(dept)[0] + "/robots",
		} {
			get(http.MethodGet, "/openapi/"+path+"?"+query, "")
		}
		get(http.MethodPost, "/openapi/workflows/"+data.WorkflowIDs(dept)[0]+"/execute", "{}")
		get(http.MethodPost, "/openapi/workflowlayouts/"+data.LayoutIDs(dept)[0]+"/execute", "{}")
		get(http.MethodPost, "/openapi/preloadedVersionFiles", "{}")
		if err := sim.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// irregularValues are values that may appear anywhere in a response.
var irregularValues = []string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `1e3`, `3.9`, `99999999999999999999`, `123456789`, `1234567890`, `""`, `"x"`, `"true"`, `"TRUE"`, `"1"`, `" 7 "`,
	`[]`, `{}`, `[null]`, `[1,"a",null,{"b":[2]},true]`, `{"a":1,"a":null,"b":"c"}`, `[{"id":1},null,3,[{}]]`, `[{},{}]`, `{"id":"x","name":null}`,
	`"\u00e9\ud83d\ude00\n\""`, `"\ud800"`, "\"\xff\"", "\"\xed\xa0\x80\"", `"\\"`, `"2022-07-29T12:13:00"`, `"2022-07-29T12:13:00.5+08:00"`,
	`"` + strings.Repeat("long", 400) + `"`, `"busy"`, `"Busy"`, `"alwaysrecord"`, `"2"`, `"00000000-0000-0000-0000-000000000000"`, ` [ 1 , 2 ] `, "{\"\xff\":\"\xff\",\"\\u0041\": \t1}",
	`[`, `"`, `}`, `tru`, `01`, ``,
}

func irregularAnswers() []string {
	return []string{
		``, ` `, `null`, `3`, `"x"`, `[]`, `{}`, `[null]`, `[3]`, `[{}]`, `{"list":3}`, `{"list":null}`, `{"list":[null,{"id":"1"}]}`,
		`{"list":[{"id":"1"},3]}`, `{"count":1,"list":[null]}`, `{"count":1,"list":[]}`, `{"count":1,"list":null}`, `{"list":null,"count":"2"}`, `{"count":1,"list":null,"list":[]}`, `{"count":1,"list":[],"list":null}`, `{"count":"0","list":[]}`, `{"Count":null,"List":[]}`,
		`{"list":[[],1,"x",{"id":"1"}]}`, `{"id":"1","name":"n","list":null}`, `{"id":"1","list":[]}`, `{"id":"1","list":[{"id":"2"}]}`, `{"list":[{"id":"1"}],"list":null}`, `{"LI_ST":[{"id":"1"}],"list":[{"id":"2"}]}`, `{"list":[{"id":"2"}],"Li-st":[{"Id":"1"}]}`,
		"{\"li\u017ft\":[{\"id\":\"1\"}]}", `{"\u006cist":[{"\u0069d":"1"}]}`, `{"list":[{"id":"1"}]`, `{"count":"7","list":[{"id":"1","ID":2,"i_d":null}]}`,
		`{"id":"1","Id":"2","company_id":"3","company-ID":"4","companyId":null}`, `{"jobStateNotification":{"switchOn":1},"jobStateNotification":{"recipients":"x"}}`,
		`{"jobStateNotification":{"switchOn":1},"jobStateNotification":3}`, `{"channel":3}`, `{"rootDepartment":{"children":[{"children":{}},null]},"count":"2"}`,
		`{"rootDepartment":[]}`, `{"jobs":[{"lastRunInstaceId":"1"},{"lastRunInstanceId":"2","lastRunInstaceId":"1"},3],"jobs":[{"LastRunInstaceId":4}]}`,
		`{"id":"1"}{"id":"2"}`, "{\"\\u\x19060\":\"1\"}", `{"\u00g0":"1"}`, `{"\u00Ag":"1"}`, `{"\u00aF":"\uD83D\uDE00"}`,
		`{"properties":{"b":"1","a":"2","B":3,"b":"4","a":null},"list":[{"properties":{}},{"properties":{"a":"1"}},{"properties":{"a":"1","b":[]}}]}`,
	}
}

// deepAnswers returns responses nested up to and beyond json's limit.
func deepAnswers() []string {
	return []string{
		`{"rootDepartment":` + strings.Repeat(`{"children":[`, 3000) + strings.Repeat(`]}`, 3000) + `}`,
		`{"rootDepartment":` + strings.Repeat(`{"children":[`, 6000) + strings.Repeat(`]}`, 6000) + `}`, strings.Repeat("[", 20_000),
		`{"x":` + strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000) + `,"id":"1"}`,
	}
}

func FuzzDecodersAgree(f *testing.F) {
	for _, answer := range answers(f, "PageSize=2&IncludeVersions=true", consolesim.Dialect{}) {
		f.Add(answer)
	}
	for _, answer := range irregularAnswers() {
		f.Add([]byte(answer))
	}
	all := agreements()
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, agree := range all {
			agree(t, answer)
		}
	})
}

// mutants is the number of mutations of each response in TestDecodersAgreeOnMutations.
var mutants = flag.Int("mutants", 2, "how many changed answers TestDecodersAgreeOnMutations makes of each answer")

// TestDecodersAgreeOnMutations replaces one value by another and compares the decoders with json. make fuzz tries
// more mutations.
func TestDecodersAgreeOnMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := agreements()
	for name, answer := range answers(t, "PageSize=1&IncludeVersions=true",
		consolesim.Dialect{},
		consolesim.Dialect{PascalKeys: true, WrapSingle: true, ConditionIntegers: true},
		consolesim.Dialect{EnumIntegers: true, NoExtraFields: true, BareSingle: true, CorrectSpelling: true},
	) {
		t.Run(name, func(t *testing.T) {
			for _, agree := range all {
				agree(t, answer)
			}
			var members []int // positions where values begin
			for i := range answer {
				if c := answer[i]; i > 0 && (c == ':' || c == '[' || c == ',') && strings.IndexByte(`"]}`, answer[i-1]) >= 0 {
					members = append(members, i+1)
				}
			}
			for range *mutants {
				at := members[random.IntN(len(members))]
				s := &scanner{in: answer, pos: at}
				if _, err := s.raw(); err != nil {
					continue
				}
				mutant := bytes.Join([][]byte{answer[:at], []byte(irregularValues[random.IntN(len(irregularValues))]), answer[s.pos:]}, nil)
				for range random.IntN(2) {
					mutant = mutant[:random.IntN(len(mutant)+1)]
				}
				for _, agree := range all {
					agree(t, mutant)
				}
			}
		})
	}
}

func TestDecodersAgreeOnDeepAnswers(t *testing.T) {
	for _, answer := range deepAnswers() {
		for _, agree := range agreements() {
			agree(t, []byte(answer))
		}
	}
}

// TestReadByMembers: all structs in responses except jobs have a generated reader.
func TestReadByMembers(t *testing.T) {
	for _, e := range []any{
		new(Company), new(DepartmentTree), new(Department), new(Package), new(Queue), new(Robot), new(Workflow), new(WorkflowLayout), new(CompanyUser),
		new(UploadedPackage), new(PackageUpload), new(JobGroup), new(WorkflowRobotResult), new(WorkflowUpgrade),
	} {
		if _, ok := e.(interface{ read(s *scanner) error }); !ok {
			t.Errorf("%T is left to json", e)
		}
	}
	if _, ok := any(new(Job)).(interface{ read(s *scanner) error }); ok {
		t.Error("a job decodes itself, but is read by its members")
	}
}

// TestStringsAreCopied: decoded values retain neither the buffer nor the rest of the response.
func TestStringsAreCopied(t *testing.T) {
	answer := []byte(`{"id":"1","name":"first","description":"second","tags":["third"],"properties":{"k":"v"},"robotCount":3}`)
	q := new(Queue)
	if err := readInto(&scanner{in: answer, arena: &arena{}}, q); err != nil {
		t.Fatal(err)
	}
	for i := range answer {
		answer[i] = 'x'
	}
	want := &Queue{ID: "1", Name: "first", Description: ptr("second"), Tags: []string{"third"}, Properties: StringMap{{"k", "v"}}, RobotCount: ptr(Int(3))}
	if !reflect.DeepEqual(want, q) {
		t.Errorf("got %+v", q)
	}
}

func benchmarkPage[T any](b *testing.B, path, query string) {
	var answer []byte
	for name, a := range answers(b, query, consolesim.Dialect{}) {
		if strings.HasPrefix(name, path+"?") {
			answer = a
		}
	}
	list := []string{"list"}
	for name, decode := range map[string]func(from io.Reader, each func(*T, int)) (int, int, error){
		"members": func(from io.Reader, each func(*T, int)) (int, int, error) {
			a := newResponseReader(from)
			defer a.free()
			return decodeList(a, list, each)
		},
		"json": func(from io.Reader, each func(*T, int)) (int, int, error) {
			return listByJSON(jsontext.NewDecoder(from, decoding), list, each)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(answer)))
			began := cpuTime(b)
			for b.Loop() {
				n := 0
				_, _, err := decode(struct{ io.Reader }{bytes.NewReader(answer)}, func(*T, int) { n++ })
				if err != nil || n != 50 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime returns the CPU time of the process, which other processes affect less than wall time.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func BenchmarkDecodeWorkflows(b *testing.B) {
	benchmarkPage[Workflow](b, "/openapi/workflows", "PageSize=50")
}

func BenchmarkDecodePackagesWithVersions(b *testing.B) {
	benchmarkPage[Package](b, "/openapi/packages", "PageSize=50&IncludeVersions=true")
}

// A list without its object is the whole list only if no page of it was requested.
func TestBareLists(t *testing.T) {
	client := newTestClient(t, serve(t, jsonAnswer(`[{"id":"1"}]`)), nil)
	for size, want := range map[int]int{0: 1, 1: -1, 2: -1} {
		got, err := client.Robots(t.Context(), testScope, List[RobotFilter]{PageSize: size})
		if err != nil || got.Count != want || got.Served != 1 {
			t.Errorf("pages of %d: got %+v, %v", size, got, err)
		}
	}
	next, err := client.Robots(t.Context(), testScope, List[RobotFilter]{PageIndex: 1})
	robots, unpaged := client.WorkflowRobots(t.Context(), testScope, guid, 0, 0)
	if err != nil || next.Count != -1 || unpaged != nil || robots.Count != 1 {
		t.Errorf("got %+v, %v, %+v, %v", next, err, robots, unpaged)
	}
}
