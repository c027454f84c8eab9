package lsp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func TestRange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("first\n\tné😀x = foo_1(bar)\n\n\xff\xfe bad\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, column, endLine, endColumn int32
		want                             span
	}{
		{1, 1, 0, 0, span{position{0, 0}, position{0, 5}}},
		{0, 0, 0, 0, span{position{0, 0}, position{0, 5}}},
		{2, 0, 0, 0, span{position{1, 1}, position{1, 19}}},
		{2, 2, 0, 0, span{position{1, 1}, position{1, 3}}},       // né, up to the emoji
		{2, 13, 0, 0, span{position{1, 9}, position{1, 14}}},     // foo_1
		{2, 9, 0, 0, span{position{1, 5}, position{1, 6}}},       // x
		{2, 7, 0, 0, span{position{1, 3}, position{1, 5}}},       // in the middle of the emoji
		{2, 13, 2, 23, span{position{1, 9}, position{1, 19}}},    // foo_1(bar)
		{2, 13, 2, 3, span{position{1, 9}, position{1, 14}}},     // ends before it begins
		{1, 1, 2, 3, span{position{0, 0}, position{1, 2}}},       // over lines
		{2, 999, 0, 0, span{position{1, 19}, position{1, 19}}},   // beyond the end
		{999, 3, 0, 0, span{position{998, 0}, position{998, 0}}}, // beyond the file
		{3, 1, 0, 0, span{position{2, 0}, position{2, 0}}},
		{4, 3, 0, 0, span{position{3, 2}, position{3, 3}}},
	} {
		d := &steadpb.Diagnostic{File: file, Line: c.line, Column: c.column, EndLine: c.endLine, EndColumn: c.endColumn}
		if got := rangeOf(d, sources{}); got != c.want {
			t.Errorf("%d:%d-%d:%d: %v, want %v", c.line, c.column, c.endLine, c.endColumn, got, c.want)
		}
	}
	d := &steadpb.Diagnostic{File: file + "gone", Line: 3, Column: 3, Source: "é x"}
	if got := rangeOf(d, sources{}); got.Start.Character != 1 {
		t.Errorf("without the file: %v", got)
	}
}

func TestReadLinesIsBounded(t *testing.T) {
	if lines := readLines("/dev/zero"); lines != nil {
		t.Errorf("%d lines of a device", len(lines))
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte(strings.Repeat("\n", 2*sourceLines)), 0o644); err != nil {
		t.Fatal(err)
	}
	if lines := readLines(file); len(lines) != sourceLines {
		t.Errorf("%d lines", len(lines))
	}
}
