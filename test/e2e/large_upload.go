package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

var UploadBytes = flag.Int64("upload-bytes", 210<<20, "size of the file that TestLargeUploadIsStreamed sends, in bytes")

// UploadLarge streams a form. known reports whether the request has a Content-Length.
func (w *World) UploadLarge(file io.Reader, known bool) (Answer, error) {
	if !known {
		return w.UploadChunked(SizedUploadQuery(strconv.FormatInt(*UploadBytes, 10)), file)
	}
	var empty bytes.Buffer
	contentType, send := Form(&empty, UploadQuery, strings.NewReader(""))
	if err := send(); err != nil {
		return Answer{}, err
	}
	end := bytes.LastIndex(empty.Bytes(), []byte("\r\n--"))
	body := io.MultiReader(bytes.NewReader(empty.Bytes()[:end]), file, bytes.NewReader(empty.Bytes()[end:]))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/graphql", body)
	if err != nil {
		return Answer{}, err
	}
	req.ContentLength = int64(empty.Len()) + *UploadBytes
	req.Header.Set("Content-Type", contentType)
	return w.Do(req)
}

// Memory returns a field of the process's status in bytes: VmRSS is its present memory, VmHWM
// its maximum.
func (p *Process) Memory(figure string) int64 {
	p.T.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		p.T.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				p.T.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	p.T.Fatalf("no figure %s", figure)
	return 0
}

// CheckStorage verifies the requests that the storage and the console received.
func (p *Process) CheckStorage(lengthKnown bool) {
	p.T.Helper()
	for _, r := range p.Sim.Requests() {
		if r.Operation != "PUT storage" {
			continue
		}
		for _, name := range []string{"Authorization", "CompanyId", "DepartmentId", "User-Agent"} {
			if r.Header.Get(name) != "" {
				p.T.Errorf("the storage was sent %s", name)
			}
		}
	}
	c := p.Calls()
	if c["PUT storage"] != 1 || c["PUT /openapi/packages"] != 0 || c["PATCH /openapi/preloadedVersionFiles/{id}"] != 1 {
		p.T.Errorf("calls %v, length known: %v", c, lengthKnown)
	}
}
