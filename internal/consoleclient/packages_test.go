package consoleclient

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
)

func TestPackages(t *testing.T) {
	operationTest{
		operation: OpPackages, path: "/openapi/packages",
		query: "EndTime=2022-07-30T00:00:00Z&IncludeVersions=true&IsDesc=false&Name=n&PageIndex=0&PageSize=1&SearchString=s&StartTime=2022-07-29T00:00:00Z",
		call: func(ctx context.Context, c *Client) (any, error) {
			return page(c.Packages(ctx, testScope, List[PackageFilter]{
				Filter: PackageFilter{
					Name: "n", SearchString: "s", IncludeVersions: true,
					StartTime: "2022-07-29T00:00:00Z", EndTime: "2022-07-30T00:00:00Z",
				},
				Ascending: true, PageSize: 1,
			}))
		},
	}.run(t)
}

func TestPackage(t *testing.T) {
	operationTest{
		operation: OpPackage, path: "/openapi/packages/" + guid, single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Package(ctx, testScope, guid) },
	}.run(t)
}

// Nil versions were not requested; empty ones do not exist. The loaders rely on the difference.
func TestPackageVersions(t *testing.T) {
	for _, wire := range []string{``, `,"versions":null`, `,"versions":[]`} {
		entity := `{"id":"` + guid + `"` + wire + `}`
		for name, c := range map[string]struct {
			answer string
			call   func(context.Context, *Client) (*Package, error)
			isNil  bool
		}{
			"single": {entity, func(ctx context.Context, c *Client) (*Package, error) {
				return c.Package(ctx, testScope, guid)
			}, false},
			"update": {entity, func(ctx context.Context, c *Client) (*Package, error) {
				return c.UpdatePackage(ctx, testScope, guid, PackageUpdate{})
			}, true},
			"list with versions": {`{"count":1,"list":[` + entity + `]}`, func(ctx context.Context, c *Client) (*Package, error) {
				p, err := c.Packages(ctx, testScope, List[PackageFilter]{Filter: PackageFilter{IncludeVersions: true}})
				return p.List[0], err
			}, false},
			"list without versions": {`{"count":1,"list":[` + entity + `]}`, func(ctx context.Context, c *Client) (*Package, error) {
				p, err := c.Packages(ctx, testScope, List[PackageFilter]{})
				return p.List[0], err
			}, true},
		} {
			t.Run(name+wire, func(t *testing.T) {
				got, err := c.call(t.Context(), newTestClient(t, serve(t, jsonAnswer(c.answer)), nil))
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Versions) != 0 || (got.Versions == nil) != c.isNil {
					t.Errorf("versions %#v, want nil: %v", got.Versions, c.isNil)
				}
			})
		}
	}
}

func TestUpdatePackage(t *testing.T) {
	whole := PackageUpdate{
		ETag: graphql.OmittableOf(ptr("this is a string")),
		Tags: graphql.OmittableOf([]string{"this is a string", "this is a string"}),
	}
	if missing := filled(whole); missing != "" {
		t.Fatalf("this test does not set %s", missing)
	}
	id := answerID(t, OpUpdatePackage)
	operationTest{
		operation: OpUpdatePackage, path: "/openapi/packages/" + id, single: true,
		body: encode(t, camel(operationOf(t, OpUpdatePackage).request)),
		call: func(ctx context.Context, c *Client) (any, error) { return c.UpdatePackage(ctx, testScope, id, whole) },
	}.run(t)
}

func TestPackageETag(t *testing.T) {
	console := serve(t, jsonAnswer(`{"id":"`+guid+`","eTag":"\"7\""}`))
	got, err := newTestClient(t, console, nil).Package(t.Context(), testScope, guid)
	if err != nil || *got.ETag != `"7"` {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDeletePackage(t *testing.T) {
	operationTest{
		operation: OpDeletePackage, path: "/openapi/packages/" + guid, body: `{}`,
		call: func(ctx context.Context, c *Client) (any, error) { return nil, c.DeletePackage(ctx, testScope, guid) },
	}.run(t)
}

func TestUploadPackage(t *testing.T) {
	const file = "PK\x03\x04 a package"
	for name, c := range map[string]struct{ size, length int64 }{
		"known size":   {int64(len(file)), int64(len(file))},
		"unknown size": {-1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, jsonAnswer(encode(t, operationOf(t, OpUploadPackage).answer)))
			got, err := newTestClient(t, console, nil).UploadPackage(t.Context(), testScope, io.MultiReader(strings.NewReader(file)), c.size)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(camel(operationOf(t, OpUploadPackage).answer), tree(t, got)); diff != "" {
				t.Error(diff)
			}
			r := console.last(t)
			if r.Method != http.MethodPut || r.Path != "/openapi/packages" || string(r.Body) != file || r.Length != c.length {
				t.Errorf("got %s %s, %d bytes announced: %q", r.Method, r.Path, r.Length, r.Body)
			}
			if ct := r.Header.Get("Content-Type"); ct != "application/octet-stream" {
				t.Errorf("Content-Type %q", ct)
			}
			if got.Scope() != testScope {
				t.Errorf("scope %v", got.Scope())
			}
		})
	}
}

// A server may compress its answer to an upload although the request does not accept that.
func TestUploadWithCompressedAnswer(t *testing.T) {
	console := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"packageId":"`+guid+`"}`)
		_ = z.Close()
	})
	client := newTestClient(t, console, func(o *Options) {
		o.FileTransport = transport.New(transport.Options{Uncompressed: true})
	})
	got, err := client.UploadPackage(t.Context(), testScope, strings.NewReader("file"), 4)
	if err != nil || got == nil || got.PackageID != guid {
		t.Errorf("got %+v, %v", got, err)
	}
	if accepted := console.last(t).Header.Values("Accept-Encoding"); len(accepted) > 0 {
		t.Errorf("the request accepts %q", accepted)
	}
	if err := client.PutPackageFile(t.Context(), UploadChannel{URI: console.URL}, strings.NewReader("file"), 4); err != nil {
		t.Errorf("to the storage: %v", err)
	}
}

func TestUploadEmptyFile(t *testing.T) {
	console := serve(t, jsonAnswer(`{"packageId":"`+guid+`"}`))
	if _, err := newTestClient(t, console, nil).UploadPackage(t.Context(), testScope, bytes.NewReader(nil), 0); err != nil {
		t.Fatal(err)
	}
	if r := console.last(t); r.Length != 0 || len(r.Header["Transfer-Encoding"]) != 0 {
		t.Errorf("announced %d bytes", r.Length)
	}
}

func TestCreatePackageUpload(t *testing.T) {
	operationTest{
		operation: OpCreateUpload, path: "/openapi/preloadedVersionFiles", body: `{}`, single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.CreatePackageUpload(ctx, testScope) },
	}.run(t)
}

func TestCreatePackageUploadWithoutChannel(t *testing.T) {
	for name, answer := range map[string]string{"no channel": `{"id":"` + guid + `"}`, "no address": `{"id":"` + guid + `","channel":{"uri":""}}`} {
		t.Run(name, func(t *testing.T) {
			_, err := newTestClient(t, serve(t, jsonAnswer(answer)), nil).CreatePackageUpload(t.Context(), testScope)
			if got := fault.CodeOf(err); got != fault.UpstreamInvalidResponse {
				t.Errorf("got %v (%s)", err, got)
			}
		})
	}
}

func TestCompletePackageUpload(t *testing.T) {
	operationTest{
		operation: OpCompleteUpload, path: "/openapi/preloadedVersionFiles/" + guid, body: `{}`, single: true,
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.CompletePackageUpload(ctx, testScope, guid)
		},
	}.run(t)
}

// The storage host receives the channel's headers and no others.
func TestPutPackageFile(t *testing.T) {
	storage := serve(t, statusAnswer(http.StatusCreated, "text/plain", ""))
	client := newTestClient(t, storage, func(o *Options) {
		o.FileTransport = transport.New(transport.Options{Uncompressed: true})
	})
	const file = "a large package"
	err := client.PutPackageFile(t.Context(), UploadChannel{
		URI: storage.URL + "/container/blob%2F1?sig=a%2Bb&se=2022",
		Headers: StringMap{
			{"x-ms-blob-type", "BlockBlob"}, {"Content-Type", "application/octet-stream"}, {"content-length", "999"}, {"Host", "storage.test"},
		},
	}, strings.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	r := storage.last(t)
	if r.Method != http.MethodPut || r.Path != "/container/blob%2F1" || r.Query != "sig=a%2Bb&se=2022" || r.Host != "storage.test" {
		t.Errorf("got %s %s?%s on %s", r.Method, r.Path, r.Query, r.Host)
	}
	if string(r.Body) != file || r.Length != int64(len(file)) {
		t.Errorf("got %q, %d bytes announced", r.Body, r.Length)
	}
	want := http.Header{
		"X-Ms-Blob-Type": {"BlockBlob"}, "Content-Type": {"application/octet-stream"},
		// HTTP's own headers, which reveal nothing.
		"Content-Length": {fmt.Sprint(len(file))},
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// TestUnusableChannelHeaders: the console names headers that HTTP does not have.
func TestUnusableChannelHeaders(t *testing.T) {
	for _, h := range []StringMember{{"X-A", "a\nb"}, {"X-A", "a\x00"}, {"X A", "a"}, {"", "a"}, {"Host", "a b"}, {"队", "a"}, {"Content-Length", "\r"}} {
		storage := serve(t, jsonAnswer(``))
		err := newTestClient(t, storage, nil).PutPackageFile(t.Context(), UploadChannel{URI: storage.URL, Headers: StringMap{h}}, strings.NewReader("x"), 1)
		if fault.CodeOf(err) != fault.UpstreamInvalidResponse || len(storage.all()) > 0 {
			t.Errorf("%q: got %v after %d requests", h, err, len(storage.all()))
		}
	}
}

func TestPutPackageFileFails(t *testing.T) {
	elsewhere := serve(t, jsonAnswer(``))
	const secret = "sig=the-key-to-the-storage"
	gone := serve(t, jsonAnswer(``))
	gone.Close()
	for name, c := range map[string]struct {
		uri    string
		answer http.HandlerFunc
		want   fault.Code
	}{
		"expired": {"", statusAnswer(http.StatusForbidden, "application/xml", "<Error>"+secret+"</Error>"), fault.UpstreamInvalidResponse},
		"redirect": {"", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, fault.UpstreamInvalidResponse},
		"down":      {gone.URL + "/?" + secret, nil, fault.UpstreamUnavailable},
		"no scheme": {"storage/?" + secret, nil, fault.UpstreamInvalidResponse},
		"not a URL": {"http://[" + secret, nil, fault.UpstreamInvalidResponse},
		"a file":    {"file:///?" + secret, nil, fault.UpstreamInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			storage := serve(t, c.answer)
			uri := c.uri
			if uri == "" {
				uri = storage.URL + "/?" + secret
			}
			err := newTestClient(t, storage, nil).PutPackageFile(t.Context(), UploadChannel{URI: uri}, strings.NewReader("x"), 1)
			if got := fault.CodeOf(err); got != c.want {
				t.Errorf("got %v (%s), want %s", err, got, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "sig=") || strings.Contains(err.Error(), "127.0.0.1")) {
				t.Errorf("the error says too much: %v", err)
			}
			// A cause may name a host. No error holds the key.
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				if strings.Contains(cause.Error(), "sig=") {
					t.Errorf("a cause says too much: %v", cause)
				}
			}
		})
	}
	if n := len(elsewhere.all()); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

func TestUploadChannelIsRedacted(t *testing.T) {
	u := UploadChannel{URI: "https://storage/?sig=secret", Headers: StringMap{{"k", "secret"}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(verb, u); strings.Contains(s, "secret") {
			t.Errorf("%s shows %s", verb, s)
		}
	}
	if s := u.LogValue().String(); strings.Contains(s, "secret") {
		t.Errorf("logged as %s", s)
	}
}
