package plugin

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// swallowSignals keeps the signals that end a process from doing so, until the
// returned function is called. It catches them and does not use signal.Ignore:
// an ignored signal stays ignored across exec, and then no service of this
// runtime could be stopped by SIGTERM.
func swallowSignals(log *slog.Logger) (restore func()) {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() { // ends when restore closes caught
		defer close(done)
		for sig := range caught {
			if sig != syscall.SIGPIPE { // logging that could write to the same pipe
				log.Info("runtime ignores a signal", "signal", sig.String())
			}
		}
	}()
	return func() {
		signal.Stop(caught)
		close(caught)
		<-done
	}
}
