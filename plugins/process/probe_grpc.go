package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// checkHealth asks the server at the other end of conn by the gRPC health
// checking protocol (grpc/doc/health-checking.md), over HTTP/2 with prior
// knowledge (RFC 9113, 3.3). It speaks just that much of gRPC
// (PROTOCOL-HTTP2.md): one message of one field each way.
func checkHealth(ctx context.Context, conn net.Conn, service, address string) error {
	const path = "/grpc.health.v1.Health/Check"
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols:          &protocols,
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableCompression: true,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, bytes.NewReader(healthRequest(service)))
	if err != nil {
		return err // cannot happen: the address is a host and a port
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"stead-probe"}}
	answer, err := transport.RoundTrip(request)
	switch {
	case isTimeout(err):
		return fmt.Errorf("gRPC health check on %s: no answer in time", address)
	case err != nil:
		// What net/http says of a peer without HTTP/2 depends on the moment.
		return fmt.Errorf("gRPC health check on %s: closed, or not a gRPC answer", address)
	}
	defer answer.Body.Close()
	// A message of a few bytes, and no more: then come the trailers.
	body, err := io.ReadAll(io.LimitReader(answer.Body, probeRead))
	if isTimeout(err) {
		return fmt.Errorf("gRPC health check on %s: no whole answer in time", address)
	}
	if err := judgeHealth(answer, body, service); err != nil {
		return fmt.Errorf("gRPC health check on %s: %w", address, err)
	}
	return nil
}

// judgeHealth returns nil for SERVING.
func judgeHealth(answer *http.Response, body []byte, service string) error {
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d: not a gRPC answer", answer.StatusCode)
	}
	// An answer without a message has its status among the headers.
	status, text := answer.Trailer.Get("Grpc-Status"), answer.Trailer.Get("Grpc-Message")
	if status == "" {
		status, text = answer.Header.Get("Grpc-Status"), answer.Header.Get("Grpc-Message")
	}
	switch status {
	case "0":
	case "":
		return errors.New("not a gRPC answer")
	case "5":
		return fmt.Errorf("it does not know the service %q", service)
	case "12":
		return errors.New("the server has no grpc.health.v1.Health service")
	default:
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
		return fmt.Errorf("gRPC status %s %s", shown(status), shown(text))
	}
	return judgeServing(body)
}

// servingNames are grpc.health.v1.HealthCheckResponse.ServingStatus.
var servingNames = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// judgeServing reads the frame (a byte for compression, four of length) of a
// HealthCheckResponse, whose only field is the number 1, a varint.
func judgeServing(body []byte) error {
	if len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
		return errors.New("not a health check's answer")
	}
	status, message := uint64(0), body[5:]
	if len(message) > 0 {
		n := 0
		if status, n = binary.Uvarint(message[1:]); message[0] != 1<<3 || n <= 0 {
			return errors.New("not a health check's answer")
		}
	}
	switch {
	case status == 1:
		return nil
	case status < uint64(len(servingNames)):
		return errors.New(servingNames[status])
	}
	return errors.New("serving status " + strconv.FormatUint(status, 10))
}

// healthRequest is the frame of a HealthCheckRequest, whose only field is the
// number 1, a string.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service)))
		message = append(message, service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}
