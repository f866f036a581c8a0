package main

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
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

var uploadBytes = flag.Int64("upload-bytes", 210<<20, "size of the file that TestLargeUploadIsStreamed sends, in bytes")

// maxUploadGrowth is how much memory one upload may add to a gateway, whatever its size.
const maxUploadGrowth = 64 << 20

// TestLargeUploadIsStreamed sends a large file through a gateway in a process of
// its own, whose length the request tells or input.size, and watches what the system
// says of the process's memory, and its disk.
func TestLargeUploadIsStreamed(t *testing.T) {
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	for name, known := range map[string]bool{"length known": true, "length unknown": false} {
		t.Run(name, func(t *testing.T) {
			spool := t.TempDir()
			p := newProcess(t, sim, store.URL(), "TMPDIR="+spool)
			p.query(`{ viewer { userName } }`, nil)
			sim.ResetCounts()
			before := p.memory("VmRSS")
			spooled := watchFolder(t, spool)
			start := time.Now()
			file, sum := noise(*uploadBytes)
			a, err := p.uploadLarge(file, known)
			took := time.Since(start)
			if err != nil || len(a.Errors) > 0 {
				t.Fatalf("%v: %s", err, a.Body)
			}
			p.checkUploaded(a, sum(), *uploadBytes)
			grown := p.memory("VmHWM") - before
			t.Logf("%d MiB in %.1f s: %.1f MiB of memory at most beside the %.1f before, %d files on disk",
				*uploadBytes>>20, took.Seconds(), float64(grown)/(1<<20), float64(before)/(1<<20), spooled())
			if grown > maxUploadGrowth {
				t.Errorf("the process grew by %d MiB", grown>>20)
			}
			if n := spooled(); n > 0 {
				t.Errorf("%d files on disk", n)
			}
			p.checkStorage(known)
		})
	}
}

// uploadLarge streams a form; known says whether the request tells its length.
func (w *world) uploadLarge(file io.Reader, known bool) (answer, error) {
	if !known {
		return w.uploadChunked(sized(strconv.FormatInt(*uploadBytes, 10)), file)
	}
	var empty bytes.Buffer
	contentType, send := form(&empty, uploadQuery, strings.NewReader(""))
	if err := send(); err != nil {
		return answer{}, err
	}
	end := bytes.LastIndex(empty.Bytes(), []byte("\r\n--"))
	body := io.MultiReader(bytes.NewReader(empty.Bytes()[:end]), file, bytes.NewReader(empty.Bytes()[end:]))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/graphql", body)
	if err != nil {
		return answer{}, err
	}
	req.ContentLength = int64(empty.Len()) + *uploadBytes
	req.Header.Set("Content-Type", contentType)
	return w.do(req)
}

// memory is a figure of the system's about the process, in bytes: VmRSS is its
// memory now, VmHWM the most that it has had.
func (p *process) memory(figure string) int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	p.t.Fatalf("no figure %s", figure)
	return 0
}

// watchFolder counts the files that come into a folder, even for a moment.
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

// checkStorage looks at what the storage and the console were sent.
func (p *process) checkStorage(lengthKnown bool) {
	p.t.Helper()
	for _, r := range p.sim.Requests() {
		if r.Operation != "PUT storage" {
			continue
		}
		for _, name := range []string{"Authorization", "CompanyId", "DepartmentId", "User-Agent"} {
			if r.Header.Get(name) != "" {
				p.t.Errorf("the storage was sent %s", name)
			}
		}
	}
	c := p.calls()
	if c["PUT storage"] != 1 || c["PUT /openapi/packages"] != 0 || c["PATCH /openapi/preloadedVersionFiles/{id}"] != 1 {
		p.t.Errorf("calls %v, length known: %v", c, lengthKnown)
	}
}
