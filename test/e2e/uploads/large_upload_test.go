package uploads

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// maxUploadGrowth bounds the memory that one upload may add to a gateway, for all file sizes.
const maxUploadGrowth = 64 << 20

// TestLargeUploadIsStreamed sends a large file through a gateway process, with the length in
// the request or in input.size. It measures the process's memory and its files.
func TestLargeUploadIsStreamed(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	for name, known := range map[string]bool{"length known": true, "length unknown": false} {
		t.Run(name, func(t *testing.T) {
			spool := t.TempDir()
			p := e2e.NewProcess(t, sim, store.URL(), "TMPDIR="+spool)
			p.Query(`{ viewer { userName } }`, nil)
			sim.ResetCounts()
			before := p.Memory("VmRSS")
			spooled := watchFolder(t, spool)
			start := time.Now()
			file, sum := e2e.RandomFile(*uploadBytes)
			a, err := uploadLarge(p.World, file, known)
			took := time.Since(start)
			if err != nil || len(a.Errors) > 0 {
				t.Fatalf("%v: %s", err, a.Body)
			}
			checkUploaded(p.World, a, sum(), *uploadBytes)
			grown := p.Memory("VmHWM") - before
			t.Logf("%d MiB in %.1f s: %.1f MiB of memory at most beside the %.1f before, %d files on disk",
				*uploadBytes>>20, took.Seconds(), float64(grown)/(1<<20), float64(before)/(1<<20), spooled())
			if grown > maxUploadGrowth {
				t.Errorf("the process grew by %d MiB", grown>>20)
			}
			if n := spooled(); n > 0 {
				t.Errorf("%d files on disk", n)
			}
			checkStorage(p, known)
		})
	}
}

// watchFolder counts the files created in a folder, including temporary ones.
func watchFolder(t *testing.T, folder string) (most func() int) {
	t.Helper()
	var mu sync.Mutex
	seen := make(map[string]bool)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			entries, err := os.ReadDir(folder)
			mu.Lock()
			for _, e := range entries {
				seen[e.Name()] = true
			}
			mu.Unlock()
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				if err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
}

var uploadBytes = flag.Int64("upload-bytes", 210<<20, "size of the file that TestLargeUploadIsStreamed sends, in bytes")

// uploadLarge streams a form. known reports whether the request has a Content-Length.
func uploadLarge(w *e2e.World, file io.Reader, known bool) (e2e.Answer, error) {
	if !known {
		return w.UploadChunked(e2e.SizedUploadQuery(strconv.FormatInt(*uploadBytes, 10)), file)
	}
	var empty bytes.Buffer
	contentType, send := e2e.Form(&empty, e2e.UploadQuery, strings.NewReader(""))
	if err := send(); err != nil {
		return e2e.Answer{}, err
	}
	end := bytes.LastIndex(empty.Bytes(), []byte("\r\n--"))
	body := io.MultiReader(bytes.NewReader(empty.Bytes()[:end]), file, bytes.NewReader(empty.Bytes()[end:]))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/graphql", body)
	if err != nil {
		return e2e.Answer{}, err
	}
	req.ContentLength = int64(empty.Len()) + *uploadBytes
	req.Header.Set("Content-Type", contentType)
	return w.Do(req)
}

// checkStorage verifies the requests that the storage and the console received.
func checkStorage(p *e2e.Process, lengthKnown bool) {
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
