package consolesim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestPackageVersions(t *testing.T) {
	c := start(t, Options{})
	for _, o := range c.get("/openapi/packages").object().list("list") {
		if o["versions"] != nil {
			t.Fatalf("versions without IncludeVersions: %v", o)
		}
	}
	for _, o := range c.get("/openapi/packages?IncludeVersions=true&PageSize=500").object().list("list") {
		vs := o.list("versions")
		newest := vs[len(vs)-1]
		if len(vs) < 1 || len(vs) > 6 || o.str("lastVersion") != newest.str("version") || o.str("lastVersionId") != newest.str("id") {
			t.Fatalf("package %v", o)
		}
		downloads := 0
		for _, v := range vs {
			downloads += v.int("totalDownloads")
			if v.str("packageId") != o.str("id") || v.str("eTag") == "" || v["arguments"] == nil || v.str("uploadTime") == "" {
				t.Errorf("version %v", v)
			}
		}
		if o.int("totalDownloads") != downloads || o.str("eTag") == "" {
			t.Errorf("package %v, want %d downloads", o, downloads)
		}
	}
	if len(c.get("/openapi/packages/"+c.Data().PackageIDs(c.dept)[0]).object().list("versions")) == 0 {
		t.Error("single package without versions")
	}
}

func TestPatchPackage(t *testing.T) {
	c := start(t, Options{})
	path := "/openapi/packages/" + c.Data().PackageIDs(c.dept)[0]
	etag := c.get(path).object().str("eTag")
	c.call(http.MethodPatch, path, `{"tags":["x"]}`).problem(http.StatusConflict, "eTag")
	c.call(http.MethodPatch, path, `{"eTag":"old","tags":["x"]}`).problem(http.StatusConflict, "eTag")
	body := fmt.Sprintf(`{"ETag":%q,"Tags":["new","标签"],"Description":"changed"}`, etag)
	o := c.call(http.MethodPatch, path, body).want(http.StatusOK).object()
	if fmt.Sprint(o["tags"]) != "[new 标签]" || o.str("description") != "changed" || o.str("eTag") == etag || o.str("modifiedAt") == "" {
		t.Errorf("updated package %v", o)
	}
	if again := c.get(path).object(); again.str("eTag") != o.str("eTag") || again.str("description") != "changed" {
		t.Errorf("package after its update %v", again)
	}
	c.call(http.MethodPatch, path, body).problem(http.StatusConflict, "")
	bare := start(t, Options{Dialect: Dialect{NoExtraFields: true}})
	vs := bare.get(path).object().list("versions")
	bare.call(http.MethodPatch, path, fmt.Sprintf(`{"eTag":%q,"tags":[]}`, vs[len(vs)-1].str("eTag"))).want(http.StatusOK)
}

func TestDeletePackage(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	w, _ := d.Workflow(d.WorkflowIDs(c.dept)[0])
	c.call(http.MethodDelete, "/openapi/packages/"+w.PackageID, "").problem(http.StatusBadRequest, "referenced by workflow")
	fresh := c.upload("unused").want(http.StatusOK).object().str("packageId")
	if a := c.call(http.MethodDelete, "/openapi/packages/"+fresh, "").want(http.StatusNoContent); len(a.raw) != 0 {
		t.Errorf("body of a deletion: %s", a.raw)
	}
	c.call(http.MethodGet, "/openapi/packages/"+fresh, "").problem(http.StatusNotFound, fresh)
	c.call(http.MethodDelete, "/openapi/packages/"+fresh, "").problem(http.StatusNotFound, fresh)
}

// upload uploads a file directly.
func (c *console) upload(content string) answer {
	c.t.Helper()
	a, err := c.send(http.MethodPut, c.APIURL()+"/openapi/packages", []byte(content), map[string]string{"Content-Type": "application/octet-stream"})
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func TestDirectUpload(t *testing.T) {
	c := start(t, Options{})
	manifest := `{"name":"Freight quotes","version":"2.0.1"}` + "\x00\x01binary"
	first := c.upload(manifest).want(http.StatusOK).object()
	if first.str("packageName") != "Freight quotes" || first.str("lastVersion") != "2.0.1" || first.str("currentVersion") != "2.0.1" {
		t.Errorf("answer %v", first)
	}
	if again := c.upload(manifest).want(http.StatusOK).object(); again.str("packageVersionId") != first.str("packageVersionId") {
		t.Errorf("the same file again: %v", again)
	}
	c.upload(manifest+"changed").problem(http.StatusBadRequest, "exists already")
	second := c.upload(`{"name":"Freight quotes","version":"2.1.0"}`).want(http.StatusOK).object()
	if second.str("packageId") != first.str("packageId") || second.str("packageVersionId") == first.str("packageVersionId") {
		t.Errorf("second version %v of %v", second, first)
	}
	o := c.get("/openapi/packages/" + first.str("packageId")).object()
	if o.str("lastVersionId") != second.str("packageVersionId") || len(o.list("versions")) != 2 || o.list("versions")[0].str("hashValue") != hashOf(manifest) {
		t.Errorf("package %v", o)
	}
	if c.Data().PackageIDs(c.dept)[0] != first.str("packageId") {
		t.Error("the new package is not the newest of the list")
	}
	anonymous := c.upload("\x00\x01\x02").want(http.StatusOK).object()
	if !strings.Contains(anonymous.str("packageName"), hashOf("\x00\x01\x02")[:12]) {
		t.Errorf("file without a manifest: %v", anonymous)
	}
	c.upload("").problem(http.StatusBadRequest, "empty")
	a, err := c.send(http.MethodPut, c.APIURL()+"/openapi/packages", []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a.problem(http.StatusUnsupportedMediaType, "octet-stream")
	u := c.Data().Uploads()
	if len(u) != 5 || !u[0].Direct || u[0].Size != int64(len(manifest)) || u[0].SHA256 != hashOf(manifest) {
		t.Errorf("uploads %+v", u)
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestDirectUploadLimit(t *testing.T) {
	c := start(t, Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.APIURL()+"/openapi/packages", io.LimitReader(zeros{}, maxDirectUpload+1))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + c.token}, "Companyid": {c.company}, "Departmentid": {c.dept}, "Content-Type": {"application/octet-stream"}}
	res, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d (%v), want 413", res.StatusCode, err)
	}
}

func TestChannelUpload(t *testing.T) {
	c := start(t, Options{})
	nobody := c.as("", "", "")
	o := c.call(http.MethodPost, "/openapi/preloadedVersionFiles", `{}`).want(http.StatusOK).object()
	if o.str("companyId") != c.company || o.str("departmentId") != c.dept || o.str("createdAt") == "" {
		t.Errorf("upload %v", o)
	}
	channel := object(o["channel"].(map[string]any))
	uri := channel.str("uri")
	headers := map[string]string{}
	for k, v := range channel["headers"].(map[string]any) {
		headers[k] = v.(string)
	}
	if !strings.HasPrefix(uri, c.StorageURL()+"/") || len(headers) < 2 {
		t.Fatalf("channel %v", channel)
	}
	content := `{"name":"Big one","version":"1.0.0"}` + strings.Repeat("x", 200_000)
	complete := "/openapi/PreloadedVersionFiles/" + o.str("id")
	c.call(http.MethodPatch, complete, `{}`).problem(http.StatusBadRequest, "No file")

	put := func(t *testing.T, address string, more map[string]string) answer {
		t.Helper()
		h := map[string]string{}
		for _, m := range []map[string]string{headers, more} {
			for k, v := range m {
				h[k] = v
			}
		}
		a, err := nobody.in(t).send(http.MethodPut, address, []byte(content), h)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, tc := range map[string]struct {
		uri    string
		header map[string]string
		want   int
	}{
		"with a token":       {uri, map[string]string{"Authorization": "Bearer " + c.token}, 400},
		"with a company":     {uri, map[string]string{"CompanyId": c.company}, 400},
		"with a department":  {uri, map[string]string{"DepartmentId": c.dept}, 400},
		"other content type": {uri, map[string]string{"Content-Type": "application/json"}, 400},
		"missing header":     {uri, map[string]string{"x-ms-blob-type": ""}, 400},
		"broken signature":   {uri + "0", nil, 403},
		"unknown upload":     {c.StorageURL() + "/uploads/11111111-2222-4333-8444-555555555555?sig=1", nil, 404},
	} {
		t.Run(name, func(t *testing.T) { put(t, tc.uri, tc.header).problem(tc.want, "") })
	}
	put(t, uri, nil).want(http.StatusCreated)
	if u := c.Data().Uploads(); len(u) != 1 || u[0].Size != int64(len(content)) || u[0].SHA256 != hashOf(content) || u[0].Completed {
		t.Errorf("uploads %+v", u)
	}
	elsewhere := c.as(c.token, c.company, c.Data().Departments(c.company)[0].ID)
	elsewhere.call(http.MethodPatch, complete, `{}`).problem(http.StatusNotFound, "")
	done := c.call(http.MethodPatch, complete, `{}`).want(http.StatusOK).object()
	if done.str("packageName") != "Big one" || done.str("lastVersion") != "1.0.0" {
		t.Errorf("completed upload %v", done)
	}
	if !slices.Contains(c.Data().PackageIDs(c.dept), done.str("packageId")) || !c.Data().Uploads()[0].Completed {
		t.Error("the upload did not become a package")
	}
	c.call(http.MethodPatch, complete, `{}`).problem(http.StatusBadRequest, "completed")
	put(t, uri, nil).problem(http.StatusConflict, "")
	if n := c.Counts(); n["PUT storage"] != 9 || n["PATCH /openapi/preloadedVersionFiles/{id}"] != 4 || n["POST /openapi/preloadedVersionFiles"] != 1 {
		t.Errorf("counts %v", n)
	}
	for _, q := range c.Requests() {
		if q.Operation == "PUT storage" && q.Status == http.StatusCreated && len(q.Body) != maxLoggedBody {
			t.Errorf("kept %d bytes of the file, want %d", len(q.Body), maxLoggedBody)
		}
	}
}
