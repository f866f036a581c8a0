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

// UploadWithLength sends a form of known length. tail changes its end.
func (w *World) UploadWithLength(file io.Reader, tail func(form []byte) []byte) (Answer, error) {
	w.T.Helper()
	var body bytes.Buffer
	contentType, send := Form(&body, UploadQuery, file)
	if err := send(); err != nil {
		w.T.Fatal(err)
	}
	return w.Post200(bytes.NewReader(tail(body.Bytes())), contentType)
}

// FormPart is a part of a multipart form with its headers.
func FormPart(header, body string) string { return header + "\r\n\r\n" + body }

// JoinForm builds a form. open follows each boundary, and end the last.
func JoinForm(open, end string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--B" + open + "\r\n" + p + "\r\n")
	}
	return b.String() + "--B--" + end
}
