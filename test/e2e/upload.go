package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
)

const UploadQuery = `mutation($file: Upload!) { uploadPackage(input: {file: $file}) { packageId packageVersionId packageName lastVersion package { id name } version { id version } } }`

// Form writes a GraphQL multipart request with one file.
func Form(to io.Writer, query string, file io.Reader) (contentType string, send func() error) {
	w := multipart.NewWriter(to)
	return w.FormDataContentType(), func() error {
		operations, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"file": nil}})
		if err != nil {
			return err
		}
		for _, part := range [][2]string{{"operations", string(operations)}, {"map", `{"0":["variables.file"]}`}} {
			if err := w.WriteField(part[0], part[1]); err != nil {
				return err
			}
		}
		p, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="0"; filename="a.dgs"`}})
		if err != nil {
			return err
		}
		if _, err := io.Copy(p, file); err != nil {
			return err
		}
		return w.Close()
	}
}

// UploadStream sends a file of unknown length while it is read.
func (w *World) UploadStream(file io.Reader) (Answer, error) {
	return w.UploadChunked(UploadQuery, file)
}

// SizedUploadQuery is UploadQuery with input.size.
func SizedUploadQuery(size string) string {
	return strings.Replace(UploadQuery, "file: $file", "file: $file, size: "+size, 1)
}

// UploadChunked sends a query and a file in chunks, while the file is read.
func (w *World) UploadChunked(query string, file io.Reader) (Answer, error) {
	r, pipe := io.Pipe()
	contentType, send := Form(pipe, query, file)
	go func() { _ = pipe.CloseWithError(send()) }()
	return w.Post200(r, contentType)
}

// Post200 sends a body of a content type to the endpoint.
func (w *World) Post200(body io.Reader, contentType string) (Answer, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/graphql", body)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", contentType)
	return w.Do(req)
}

// RandomFile returns n incompressible bytes and their hash.
func RandomFile(n int64) (file io.Reader, sum func() string) {
	h := sha256.New()
	return io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), n), h), func() string { return hex.EncodeToString(h.Sum(nil)) }
}

// LastUpload returns the last upload at the console.
func (w *World) LastUpload() consolesim.Upload {
	w.T.Helper()
	all := w.Sim.Data().Uploads()
	if len(all) == 0 {
		w.T.Fatal("nothing was uploaded")
	}
	return all[len(all)-1]
}

func (w *World) CheckUploaded(a Answer, sum string, size int64) {
	w.T.Helper()
	var got struct {
		UploadPackage struct {
			PackageID, PackageVersionID string
			Package, Version            struct{ ID string }
		}
	}
	if err := json.Unmarshal(a.Data, &got); err != nil {
		w.T.Fatal(err)
	}
	if u := got.UploadPackage; u.PackageID == "" || u.Package.ID != u.PackageID || u.Version.ID != u.PackageVersionID {
		w.T.Errorf("answered %s", a.Body)
	}
	if u := w.LastUpload(); u.SHA256 != sum || u.Size != size {
		w.T.Errorf("the console has %d bytes with hash %s, want %d with %s", u.Size, u.SHA256, size, sum)
	}
}

// WithLength sends a form of known length. tail changes its end.
func (w *World) WithLength(file io.Reader, tail func(form []byte) []byte) (Answer, error) {
	w.T.Helper()
	var body bytes.Buffer
	contentType, send := Form(&body, UploadQuery, file)
	if err := send(); err != nil {
		w.T.Fatal(err)
	}
	return w.Post200(bytes.NewReader(tail(body.Bytes())), contentType)
}
