package transport

import (
	"context"
	"testing"
)

// TestNoStreamStartsAfterShutdown verifies that such a stream is refused, since nothing
// would end it.
func TestNoStreamStartsAfterShutdown(t *testing.T) {
	var s Streams
	ended := make(chan struct{})
	done, ok := s.begin(func(context.Context) { close(ended) })
	if !ok {
		t.Fatal("no stream begins")
	}
	go func() {
		<-ended
		done()
	}()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := s.begin(func(context.Context) {}); ok {
		t.Error("a stream began after the shutdown")
	}
}
