package consoleclient

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRobots(t *testing.T) {
	operationTest{
		operation: OpRobots, path: "/openapi/robots",
		query: "AssociatedQueueId=q&Ids=" + guid + "&Ids=" + otherGUID + "&IsDesc=false&Name=n&PackageId=p&PackageVersionId=v&PageIndex=2&PageSize=50&SearchString=s",
		call: func(ctx context.Context, c *Client) (any, error) {
			return page(c.Robots(ctx, testScope, List[RobotFilter]{
				Filter:    RobotFilter{Name: "n", SearchString: "s", AssociatedQueueID: "q", PackageID: "p", PackageVersionID: "v"},
				Ascending: true, IDs: []string{guid, otherGUID}, PageIndex: 2, PageSize: 50,
			}))
		},
	}.run(t)
}

func TestRobot(t *testing.T) {
	operationTest{
		operation: OpRobot, path: "/openapi/robots/" + guid, single: true,
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.Robot(ctx, testScope, strings.ToUpper(guid))
		},
	}.run(t)
}

func TestRobotListeningStatus(t *testing.T) {
	for name, c := range map[string]struct {
		http string
		want []string
	}{
		"integers": {`[1,2]`, []string{"1", "2"}},
		"names":    {`["Idle"]`, []string{"Idle"}},
		"scalar":   {`3`, []string{"3"}},
		"text":     {`"Idle"`, []string{"Idle"}},
		"null":     {`null`, nil},
		"mixed":    {`[null,true,"x"]`, []string{"true", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, jsonAnswer(`{"id":"`+guid+`","listeningStatus":`+c.http+`}`))
			got, err := newTestClient(t, console, nil).Robot(t.Context(), testScope, guid)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.ListeningStatus); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A robot's credentials have no field in any type and never appear in output.
func TestCredentialsAreNeverDecoded(t *testing.T) {
	secrets := map[string]string{"clientSecret": "S3CRET-a", "ConnectionString": "S3CRET-b", "license_pool_key": "S3CRET-c"}
	robot := map[string]any{"id": guid, "name": "r"}
	for key, secret := range secrets {
		robot[key] = secret
	}
	console := serve(t, jsonAnswer(encode(t, robot)))
	got, err := newTestClient(t, console, nil).Robot(t.Context(), testScope, guid)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(again), "S3CRET") || !strings.Contains(string(again), guid) {
		t.Errorf("re-encoded: %s", again)
	}

	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			for key := range secrets {
				if strings.EqualFold(f.Name, strings.ReplaceAll(key, "_", "")) {
					t.Errorf("%s has a field %s", typ, f.Name)
				}
			}
			walk(f.Type)
		}
	}
	for _, v := range []any{
		Company{}, DepartmentTree{}, Package{}, PackageUpload{}, UploadedPackage{}, Queue{}, Robot{}, CompanyUser{},
		Workflow{}, WorkflowLayout{}, Job{}, JobGroup{}, WorkflowRobotResult{}, WorkflowUpgrade{},
	} {
		walk(reflect.TypeOf(v))
	}
	if len(seen) < 20 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}
