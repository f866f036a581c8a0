package consolesim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Fields of the document, in camelCase.
const (
	byFields       = "createdAt createdBy createdByName modifiedAt modifiedBy modifiedByName "
	scopeFields    = "companyId departmentId "
	describeFields = "id name description tags "
	packageFields  = describeFields + byFields + scopeFields + "totalDownloads lastVersion lastVersionId iconUrl fullDescription versions"
	versionFields  = "id packageId version description arguments eTag uploadTime totalDownloads fullDescription " + byFields + scopeFields
	queueFields    = describeFields + byFields + scopeFields + "properties robotCount"
	robotFields    = "id currentDeviceId lastHeartbeatTime listeningStatus sdkVersion name description canUpgrade licenseStatus clientSku version status " + scopeFields
	workflowFields = describeFields + byFields + scopeFields + "arguments videoRecordMode properties jobStateNotification packageName packageId " +
		"packageVersionId packageVersion associatedQueueId priority maxRetryCount triggerPolicy lastTriggeredAt triggeredCount"
	layoutFields = describeFields + byFields + scopeFields + "properties nodes lastTriggeredAt triggeredCount"
	nodeFields   = describeFields + byFields + "index workflowId arguments"
	jobFields    = "id workflowId name description packageId packageName packageVersion packageVersionId arguments containingQueueId priority state " +
		"displayState videoRecordMode message lastRunInstaceId lastRobotName startedAt finishedAt retriedCount maxRetryCount cronTriggerId " +
		"jobExecutionPolicy jobStartupType jobStartupId jobStartupName jobGroupId seqNum step jobSubjectId jobSubjectName jobSubjectType " + byFields + scopeFields
	groupFields = "id name startedAt finishedAt jobStartupType jobStartupId jobStartupName ownerId jobs " + byFields + scopeFields
	selfFields  = "userExtensionInfo isExternalUser hasModifiedPassword id userId companyId isCompanyOwner roleIds status resourceType " +
		"assignedDepartmentId parentResourceType parentId name description eTag tags properties createdAt modifiedAt lastLoginAt departmentPath email phoneNumber userName"
	companyFields    = "companyUserId companyUserName edition companyId properties " + describeFields + byFields
	departmentFields = "children departmentPath visitorHasAnyRole visitorHasPermission userCount id departmentId parentId name description eTag tags properties createdAt modifiedAt companyId"
)

// samples requests one entity of each kind, with the documented fields.
func samples(c *console) map[string]object {
	c.t.Helper()
	list := func(path string) object { return c.get(path).object().list("list")[0] }
	packages := list("/openapi/packages?IncludeVersions=true")
	layout := list("/openapi/workflowlayouts")
	workflow := list("/openapi/workflows")
	group := c.call(http.MethodPost, "/openapi/workflowlayouts/"+layout.str("id")+"/execute", `{}`).object()
	tree := c.get("/openapi/departments/tree").object()
	return map[string]object{
		packageFields: packages, versionFields: packages.list("versions")[0], queueFields: list("/openapi/queues"),
		robotFields: list("/openapi/robots"), workflowFields: workflow, layoutFields: layout, nodeFields: layout.list("nodes")[0],
		groupFields: group, jobFields: group.list("jobs")[0], selfFields: c.get("/openapi/companyusers/self").object(),
		companyFields:    c.get("/openapi/companies/companylist").object().list("companies")[0],
		departmentFields: object(tree["rootDepartment"].(map[string]any)),
	}
}

func TestDefaultFieldsMatchDocument(t *testing.T) {
	c := start(t, Options{Dialect: Dialect{NoExtraFields: true}})
	for fields, o := range samples(c) {
		want := slices.Sorted(slices.Values(strings.Fields(fields)))
		if got := slices.Sorted(maps.Keys(o)); !slices.Equal(got, want) {
			t.Errorf("fields\n%v, want\n%v", got, want)
		}
	}
}

func TestExtraFields(t *testing.T) {
	c := start(t, Options{})
	extra := map[string]string{
		packageFields: "eTag tenantId resourceGroupId resourceType parentId", versionFields: "deploymentCount hashValue hashAlgorithm runAsAdmin tenantId",
		queueFields: "eTag tenantId dedicatedRobotId", workflowFields: "eTag maxRunSeconds associatedRobotIds",
		robotFields: "clientSecret connectionString licensePoolKey eTag", layoutFields: "eTag", jobFields: "eTag",
		companyFields: "eTag tenantId", departmentFields: "tenantId", selfFields: "tenantId",
	}
	for fields, o := range samples(c) {
		for _, k := range strings.Fields(fields + " " + extra[fields]) {
			if _, ok := o[k]; !ok {
				t.Errorf("no %s in %v", k, o)
			}
		}
		for _, k := range []string{"clientSecret", "connectionString", "licensePoolKey"} {
			if v := o.str(k); v != "" && !slices.Contains(c.Data().Secrets(), v) {
				t.Errorf("%s is not among the secrets", k)
			}
		}
	}
	silent := start(t, Options{NoAssociatedRobotIDs: true})
	if o := silent.get("/openapi/workflows").object().list("list")[0]; o["associatedRobotIds"] != nil || o["eTag"] == nil {
		t.Errorf("workflow without associatedRobotIds: %v", o)
	}
}

func TestPascalKeys(t *testing.T) {
	c := start(t, Options{Dialect: Dialect{PascalKeys: true}})
	var check func(path string, v any)
	check = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				check(path, e)
			}
		case map[string]any:
			data := strings.HasSuffix(path, "Properties") || strings.HasSuffix(path, "Headers")
			for k, e := range v {
				if !data && (k[0] < 'A' || k[0] > 'Z') {
					t.Errorf("key %s.%s", path, k)
				}
				check(path+"."+k, e)
			}
		}
	}
	d := c.Data()
	for _, path := range []string{
		"/openapi/companies/companylist", "/openapi/departments/tree", "/openapi/packages?IncludeVersions=true", "/openapi/queues", "/openapi/robots",
		"/openapi/companyusers/self", "/openapi/workflows", "/openapi/workflowlayouts", "/openapi/workflowlayouts/" + d.LayoutIDs(c.dept)[0],
	} {
		check(path, map[string]any(c.get(path).object()))
	}
	check("problem", map[string]any(c.call(http.MethodGet, "/openapi/queues/x", "").want(400).object()))
	check("upload", map[string]any(c.call(http.MethodPost, "/openapi/preloadedVersionFiles", `{}`).object()))
	user, password := c.DefaultUser()
	token := c.form(grant("password", "username", user, "password", password)).object()
	if token.str("Access_token") == "" || token.str("Refresh_token") == "" || token["Expires_in"] != float64(3600) {
		t.Errorf("token answer %v", token)
	}
	if q := c.get("/openapi/queues").object().list("List")[0]; object(q["Properties"].(map[string]any)).str("shift") == "" {
		t.Errorf("keys of properties were changed: %v", q)
	}
}

func TestEnumIntegers(t *testing.T) {
	names, numbers := start(t, Options{}), start(t, Options{Dialect: Dialect{EnumIntegers: true, ConditionIntegers: true}})
	id := names.Data().RobotIDs(names.dept)[0]
	for _, c := range []*console{names, numbers} {
		if !c.SetRobotStatus(id, "Busy") {
			t.Fatal("SetRobotStatus")
		}
	}
	tables := map[string][]string{
		"videoRecordMode": videoRecordModes, "triggerPolicy": triggerPolicies, "licenseStatus": licenseStatuses, "edition": companyEditions,
		"jobStartupType": jobStartupTypes, "jobExecutionPolicy": triggerPolicies, "resourceType": resourceTypes, "displayState": jobStates,
	}
	withNumbers := samples(numbers)
	for fields, o := range samples(names) {
		for k, table := range tables {
			name := o.str(k)
			if name == "" {
				continue
			}
			if want := float64(slices.Index(table, name)); withNumbers[fields][k] != want {
				t.Errorf("%s %s is %v, want %v", k, name, withNumbers[fields][k], want)
			}
		}
	}
	for query, want := range map[string]float64{"Busy": 2, "Disconnected": 0} {
		numbers.SetRobotStatus(id, query)
		if r := numbers.get("/openapi/robots/" + id).object().list("list")[0]; r["status"] != want {
			t.Errorf("status %v, want %v", r["status"], want)
		}
	}
	conditions := func(c *console) string {
		for _, w := range c.get("/openapi/workflows?PageSize=500").object().list("list") {
			if n, ok := w["jobStateNotification"].(map[string]any); ok {
				return fmt.Sprint(n["conditions"])
			}
		}
		return ""
	}
	if a, b := conditions(names), conditions(numbers); a != "[Finished Running]" || b != "[1002 1001]" {
		t.Errorf("conditions %s and %s", a, b)
	}
}

func TestWrapping(t *testing.T) {
	for name, tc := range map[string]struct {
		dialect Dialect
		wrapped []string
	}{
		"as captured": {Dialect{}, []string{"robots", "workflowlayouts"}},
		"all bare":    {Dialect{BareSingle: true}, nil},
		"all wrapped": {Dialect{WrapSingle: true}, []string{"packages", "queues", "robots", "workflows", "workflowlayouts"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, Options{Dialect: tc.dialect})
			for kind, ids := range kinds(c, c.dept) {
				o := c.get("/openapi/" + kind + "/" + ids[0]).object()
				if slices.Contains(tc.wrapped, kind) {
					if o.int("count") != 1 || len(o.list("list")) != 1 {
						t.Fatalf("%s is not wrapped: %v", kind, o)
					}
					o = o.list("list")[0]
				}
				if o.str("id") != ids[0] {
					t.Errorf("%s: %v", kind, o)
				}
			}
		})
	}
}

func TestDeletions(t *testing.T) {
	for name, tc := range map[string]struct {
		dialect Dialect
		status  int
		entity  bool
	}{
		"204":        {Dialect{}, http.StatusNoContent, false},
		"200":        {Dialect{DeleteStatusOK: true}, http.StatusOK, false},
		"the entity": {Dialect{DeleteReturnsEntity: true}, http.StatusOK, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, Options{Dialect: tc.dialect})
			queue := c.call(http.MethodPost, "/openapi/queues", `{"name":"n"}`).object().str("id")
			pack := c.upload("unused").object().str("packageId")
			flow := c.call(http.MethodPost, "/openapi/workflows", `{"name":"n","packageId":"`+pack+`"}`).object().str("id")
			robot := c.Data().RobotIDs(c.dept)[0]
			c.call(http.MethodPost, "/openapi/workflows/"+flow+"/robots", `{"robotIds":["`+robot+`"]}`).want(http.StatusOK)
			for _, d := range [][2]string{{"/openapi/queues/", queue}, {"/openapi/workflows/" + flow + "/robots/", robot}, {"/openapi/workflows/", flow}, {"/openapi/packages/", pack}} {
				a := c.call(http.MethodDelete, d[0]+d[1], `{}`).want(tc.status)
				if !tc.entity && len(a.raw) != 0 || tc.entity && a.object().str("id") != d[1] {
					t.Errorf("DELETE %s answered %q", d[0], a.raw)
				}
			}
		})
	}
}

func TestEmptyExecuteAndSpelling(t *testing.T) {
	empty := start(t, Options{Dialect: Dialect{EmptyExecute: true}})
	d := empty.Data()
	for _, path := range []string{"/openapi/workflows/" + d.WorkflowIDs(empty.dept)[0], "/openapi/workflowlayouts/" + d.LayoutIDs(empty.dept)[0]} {
		if a := empty.call(http.MethodPost, path+"/execute", `{}`).want(http.StatusOK); len(a.raw) != 0 {
			t.Errorf("%s answered %q", path, a.raw)
		}
	}
	if len(d.Jobs()) < 3 {
		t.Errorf("%d jobs, want those of a workflow and of a layout", len(d.Jobs()))
	}
	right := start(t, Options{Dialect: Dialect{CorrectSpelling: true}})
	j := right.call(http.MethodPost, "/openapi/workflows/"+d.WorkflowIDs(right.dept)[0]+"/execute", `{}`).array()[0]
	if _, ok := j["lastRunInstanceId"]; !ok || j["lastRunInstaceId"] != nil {
		t.Errorf("job %v", j)
	}
}

func TestExpiresInString(t *testing.T) {
	c := start(t, Options{Dialect: Dialect{ExpiresInString: true}})
	user, password := c.DefaultUser()
	if o := c.form(grant("password", "username", user, "password", password)).object(); o["expires_in"] != "3600" {
		t.Errorf("expires_in %v", o["expires_in"])
	}
}

func TestUnknownEnums(t *testing.T) {
	for _, integers := range []bool{false, true} {
		c := start(t, Options{UnknownEnums: true, Dialect: Dialect{EnumIntegers: integers}})
		known, unknown := 0, 0
		for _, r := range c.get("/openapi/robots?PageSize=500").object().list("list") {
			if r["licenseStatus"] == unknownEnumName || r["licenseStatus"] == float64(unknownEnumInteger) {
				unknown++
			} else {
				known++
			}
		}
		if known < 20 || unknown < 5 {
			t.Errorf("integers %v: %d known and %d unknown values", integers, known, unknown)
		}
	}
}

func TestEncoderWritesJSON(t *testing.T) {
	for _, s := range []string{"", "plain", `quote " and \`, "line\nbreak\x01", "发票核对", "broken \xff", "<tag>&", "\u2028"} {
		b := appendQuoted(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q becomes %s (%v)", s, b, err)
		}
	}
	e := encoder{}
	e.begin()
	e.beginAt("a")
	e.end()
	e.strs("b", nil)
	e.end()
	if got := e.bytes(); !bytes.Equal(got, []byte(`{"a":{},"b":[]}`)) {
		t.Errorf("empty values: %s", got)
	}
}
