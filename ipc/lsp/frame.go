package lsp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Bounds of a message. Editors send whole files in some (didOpen).
const (
	headerLimit  = 4 << 10 // one line
	contentLimit = 64 << 20
)

// readMessage reads the content of one message (base protocol: headers as in
// HTTP, of which Content-Length matters). io.EOF is a clean end.
func readMessage(r *bufio.Reader) ([]byte, error) {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err == io.EOF && first && len(line) == 0 {
			return nil, io.EOF
		}
		if err != nil {
			return nil, fmt.Errorf("read a header of the editor: %w", unexpected(err))
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			continue
		}
		length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil || length < 0 || length > contentLimit {
			return nil, fmt.Errorf("read a header of the editor: Content-Length %q", value)
		}
	}
	if length < 0 {
		return nil, errors.New("read a message of the editor: it has no Content-Length")
	}
	// As much as comes, not as much as is said: a length costs nothing to claim.
	var content bytes.Buffer
	if _, err := io.CopyN(&content, r, int64(length)); err != nil {
		return nil, fmt.Errorf("read a message of the editor: %w", unexpected(err))
	}
	return content.Bytes(), nil
}

// unexpected keeps an end in the middle from looking like a clean one.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// writeMessage writes in one piece.
func writeMessage(w io.Writer, content []byte) error {
	text := append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(content)), content...)
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write to the editor: %w", err)
	}
	return nil
}
