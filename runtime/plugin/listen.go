package plugin

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// listening is go-plugin's server at work.
type listening struct {
	socket string
	server *server
	served chan struct{} // closed when go-plugin's Serve has returned
}

// listen starts go-plugin's server on a socket in dir, and returns when the
// server has answered a call.
//
// go-plugin tells its address by a line on os.Stdout, then puts pipes of its
// own in the place of os.Stdout and os.Stderr, which block whoever prints
// 64 KiB while no client reads. So it gets a pipe of ours to print its line
// into, and as soon as it has put its pipes in place, both variables get what
// they were before: a log file.
func listen(ctx context.Context, dir string, s *server, log *slog.Logger) (*listening, error) {
	defer setGoPluginEnv(dir)()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout = w
	l := &listening{server: s, served: make(chan struct{})}
	go func() { // ends with the grpc server: see end
		defer close(l.served)
		defer w.Close() // the line never comes any more
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig: handshake,
			Plugins:         goplugin.PluginSet{pluginName: &carriage{server: s}},
			GRPCServer:      s.grpcServer,
			Logger:          bridge(log),
		})
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		<-l.served
		os.Stdout = stdout
		return nil, fmt.Errorf("go-plugin could not listen (its reason is in the log): %w", runtime.Internal)
	}
	if l.socket, err = socketOf(line); err != nil {
		return nil, err
	}
	if err := l.check(ctx); err != nil {
		return nil, err
	}
	<-s.heard // a call was served, and go-plugin serves after it has put its pipes in place
	os.Stdout, os.Stderr = stdout, stderr
	return l, w.Close()
}

// socketOf reads go-plugin's line: core version, protocol version, network,
// address, protocol, certificate, with | between them (go-plugin's
// docs/internals.md).
func socketOf(line string) (string, error) {
	fields := strings.Split(strings.TrimSpace(line), "|")
	if len(fields) < 5 || fields[2] != "unix" || fields[4] != string(goplugin.ProtocolGRPC) {
		return "", fmt.Errorf("go-plugin's line %q is not as documented: %w", line, runtime.Internal)
	}
	return fields[3], nil
}

// checkTimeout is for a runtime that was just made; it answers in under a
// millisecond.
const checkTimeout = 10 * time.Second

// check calls the server as a client would.
func (l *listening) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := grpc.NewClient("unix:"+l.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	req := &runtimepb.DescribeRequest{Version: runtime.ContractVersion}
	if _, err := runtimepb.NewRuntimeClient(conn).Describe(ctx, req); err != nil {
		return fmt.Errorf("describe: %w", errorFromStatus(ctx, err))
	}
	return nil
}

// endTimeout is how long answers may take to reach their callers at the end.
const endTimeout = 5 * time.Second

// end lets the calls that run finish, closes all connections and removes the
// socket. Streams are ended, for they would last for ever.
func (l *listening) end() {
	close(l.server.stopping)
	force := time.AfterFunc(endTimeout, l.server.grpc.Stop)
	l.server.grpc.GracefulStop()
	force.Stop()
	<-l.served
}

// setGoPluginEnv sets the variables that go-plugin's Serve reads, and clears
// those that would change what it does. The returned function takes all of
// them away, for services are not to inherit them.
func setGoPluginEnv(dir string) (unset func()) {
	clear := func() {
		for _, name := range []string{
			handshake.MagicCookieKey, goplugin.EnvUnixSocketDir, goplugin.EnvUnixSocketGroup,
			"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC",
			"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT",
		} {
			os.Unsetenv(name)
		}
	}
	clear()
	os.Setenv(handshake.MagicCookieKey, handshake.MagicCookieValue)
	os.Setenv(goplugin.EnvUnixSocketDir, dir)
	return clear
}

// bridge makes go-plugin's few warnings lines of our log.
func bridge(log *slog.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:   "go-plugin",
		Level:  hclog.Warn,
		Output: slog.NewLogLogger(log.Handler(), slog.LevelWarn).Writer(),
		// slog has its own
		DisableTime: true,
	})
}
