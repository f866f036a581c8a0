// Package processsignals turns the signals of the process into the end of a context and into messages.
package processsignals

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// UntilStopped returns a context that ends when the process is interrupted or terminated. Its cause is terminated after a
// SIGTERM. A second signal kills the process. Unlike signal.NotifyContext, the context ends only after the default signal
// handling is restored. A process that reports its stop therefore reacts to the second signal.
func UntilStopped(parent context.Context, terminated error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		var cause error
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				cause = terminated
			}
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel(cause)
	}()
	return ctx, func() { cancel(nil) }
}

// OnHangup returns SIGHUPs as messages, which end the process no longer.
func OnHangup() (hangups <-chan os.Signal, ignore func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// SurviveLostReaders lets writes to standard output and error fail when their reader is gone, instead of ending the process.
func SurviveLostReaders() { signal.Ignore(syscall.SIGPIPE) }
