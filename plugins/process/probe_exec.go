package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/stead-dev/stead/runtime"
)

const (
	checkKept  = 1 << 10 // of a check's output: its last line is shown
	shownMost  = 160     // characters of what an instance answers, in a reason
	checkDrain = 10 * time.Millisecond
)

// check runs an exec probe in the instance's tree. What it writes is read to
// the end and dropped, but for the last line, which says why it failed.
func (in *instance) check(ctx context.Context, k *keeper, command []string) error {
	path, err := lookUp(command[0], k.spec.Dir, in.env)
	if err != nil {
		return err
	}
	output, end, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	defer output.Close()
	one, err := k.r.children.start(in.tree, path, command, &syscall.ProcAttr{
		Dir: k.spec.Dir, Env: in.env, Files: []uintptr{k.r.null.Fd(), end.Fd(), end.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	end.Close()
	if err != nil {
		return explainExec(command[0], path, err)
	}
	last := make(chan string, 1)
	go func() { last <- lastLine(output) }() // ends with the output, or by the deadline below
	var late bool
	select {
	case <-one.exited:
	case <-ctx.Done():
		late = true
		k.r.children.signal(one, syscall.SIGKILL)
		<-one.exited
	}
	// Whom it left running may hold the pipe: its answer is complete.
	_ = output.SetReadDeadline(time.Now().Add(checkDrain))
	said := <-last
	if said != "" {
		said = ": " + said
	}
	if late {
		return fmt.Errorf("%s did not end in time%s", command[0], said)
	}
	if exit := exitOf(one.status); !exit.Success() {
		return fmt.Errorf("%s: %s%s", command[0], describe(exit), said)
	}
	return nil
}

// lastLine reads f to its end and returns the last line that is not empty.
func lastLine(f *os.File) string {
	var kept []byte
	block := make([]byte, 4<<10)
	for {
		n, err := f.Read(block)
		kept = append(kept, block[:n]...)
		kept = append(kept[:0], kept[max(0, len(kept)-checkKept):]...)
		if err != nil {
			break
		}
	}
	kept = bytes.TrimRightFunc(kept, unicode.IsSpace)
	return shown(string(kept[bytes.LastIndexByte(kept, '\n')+1:]))
}

// shown makes text that came from outside fit to be part of a reason: one
// line, not long, without control characters.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > shownMost {
		text = string(runes[:shownMost]) + "…"
	}
	return text
}

// usesEnvironment reports whether an exec probe needs the instance's.
func usesEnvironment(spec *runtime.Spec) bool {
	return spec.Ready != nil && spec.Ready.Kind == runtime.ProbeExec || spec.Live != nil && spec.Live.Kind == runtime.ProbeExec
}
