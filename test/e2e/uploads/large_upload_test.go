package uploads

import (
	"context"
	"os"
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
			file, sum := e2e.RandomFile(*e2e.UploadBytes)
			a, err := p.UploadLarge(file, known)
			took := time.Since(start)
			if err != nil || len(a.Errors) > 0 {
				t.Fatalf("%v: %s", err, a.Body)
			}
			p.CheckUploaded(a, sum(), *e2e.UploadBytes)
			grown := p.Memory("VmHWM") - before
			t.Logf("%d MiB in %.1f s: %.1f MiB of memory at most beside the %.1f before, %d files on disk",
				*e2e.UploadBytes>>20, took.Seconds(), float64(grown)/(1<<20), float64(before)/(1<<20), spooled())
			if grown > maxUploadGrowth {
				t.Errorf("the process grew by %d MiB", grown>>20)
			}
			if n := spooled(); n > 0 {
				t.Errorf("%d files on disk", n)
			}
			p.CheckStorage(known)
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
