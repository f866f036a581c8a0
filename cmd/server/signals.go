package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/consoleql/consoleql/internal/gateway"
)

// untilSignalled returns a context that ends when the process is interrupted or terminated. A second signal kills the
// process. Unlike signal.NotifyContext, the context ends only after the default signal handling is restored. A
// process that reports its stop therefore reacts to the second signal.
func untilSignalled(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		var cause error
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				cause = gateway.ErrTerminated
			}
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel(cause)
	}()
	return ctx, func() { cancel(nil) }
}

// onHangup returns SIGHUPs as messages instead of ending the process. They reload the files that the gateway watches.
func onHangup() (hangups <-chan os.Signal, ignore func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// surviveLostReaders lets writes to standard output and error fail when their reader is gone, instead of ending the process.
// The log counts its lines that are lost.
func surviveLostReaders() { signal.Ignore(syscall.SIGPIPE) }
