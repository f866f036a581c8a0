package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignalled is a context that is done once the process is interrupted or
// told to terminate; a second signal ends the process at once. Unlike what
// signal.NotifyContext gives, it is done only after signals do again what they
// do by default: whoever sees that the process stops can rely on the second.
func untilSignalled(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}

// onHangup makes SIGHUP a message: instead of ending the process, it has files of keys and
// passwords read again where there are any.
func onHangup() (hangups <-chan os.Signal, ignore func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
