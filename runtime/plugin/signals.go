package plugin

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// swallowSignals keeps the signals that end a process from doing so, until the
// returned function is called. With scoped, the first scopeSignal closes told.
// It catches them and does not use signal.Ignore: an ignored signal stays ignored
// across exec, and then no service of this runtime could be stopped by SIGTERM.
func swallowSignals(scoped bool, log *slog.Logger) (told <-chan struct{}, restore func()) {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGPIPE, scopeSignal)
	end, done := make(chan struct{}), make(chan struct{})
	go func() { // ends when restore closes caught
		defer close(done)
		for sig := range caught {
			switch {
			case sig == scopeSignal && scoped:
				scoped = false
				close(end)
			case sig != syscall.SIGPIPE: // logging that could write to the same pipe
				log.Info("runtime ignores a signal", "signal", sig.String())
			}
		}
	}()
	return end, func() {
		signal.Stop(caught)
		close(caught)
		<-done
	}
}
