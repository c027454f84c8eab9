package lsp_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/runtime"
)

var anError = errors.New("any")

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDiagnosticsComeAndGo(t *testing.T) {
	dir := shortDir(t)
	write(t, dir+"/proj/a b.go", "package main\n\tx := \"😀é\" + undefined\n")
	b := ipctest.New(ipctest.Shop("api", "web"))
	daemon(t, dir+"/s", b)
	e := open(t, dir+"/s", "/nowhere")
	e.begin(dir + "/proj")
	bad := runtime.Diagnostic{
		File: dir + "/proj/a b.go", Line: 2, Column: 18, Severity: runtime.SeverityError, Text: "undefined: undefined",
		Tool: "go", Generation: 7, Cause: "saved a b.go",
	}
	b.Show(ipctest.Diagnosed(b.Present(), web, bad))
	// The emoji is 4 bytes and 2 units, é is 2 bytes and 1 unit.
	e.want(`"method":"textDocument/publishDiagnostics"`, `"uri":"file://`+dir+`/proj/a%20b.go"`,
		`"range":{"start":{"line":1,"character":14},"end":{"line":1,"character":23}}`, `"severity":1`, `"code":"go"`, `"source":"stead"`,
		`"message":"undefined: undefined"`, `"data":{"project":"shop","service":"web","generation":7,"cause":"saved a b.go"}`)

	// What another service says of it is the same; what it says of a file outside is nobody's here.
	outside := runtime.Diagnostic{File: dir + "/project/x.go", Line: 1, Text: "not here"}
	b.Show(ipctest.Diagnosed(b.Present(), api, bad, outside))
	if got := e.hear(); strings.Count(got, `"message"`) != 1 || !strings.Contains(got, `"service":"api"`) {
		t.Errorf("said twice, or by nobody: %s", got)
	}
	warning := runtime.Diagnostic{File: dir + "/proj/sub/c.ts", Line: 3, Severity: runtime.SeverityWarning, Text: "odd", Hint: "mend it", Tool: "tsc", Code: "TS1"}
	b.Show(ipctest.Diagnosed(b.Present(), api, bad, outside, warning))
	e.want(`sub/c.ts`, `"severity":2`, `"code":"tsc TS1"`, `"message":"odd\nmend it"`, `"start":{"line":2,"character":0}`)

	b.Show(ipctest.Diagnosed(b.Present(), web))
	b.Show(ipctest.Diagnosed(b.Present(), api))
	gone := e.hear() + e.hear()
	if strings.Count(gone, `"diagnostics":[]`) != 2 || !strings.Contains(gone, "a%20b.go") || !strings.Contains(gone, "sub/c.ts") {
		t.Errorf("not taken back: %s", gone)
	}
	e.leave()
}

// TestDaemonThatRestarts has one that is not there, comes, goes, and comes
// back with other diagnostics.
func TestDaemonThatRestarts(t *testing.T) {
	dir := shortDir(t)
	e := open(t, dir+"/s", dir)
	e.begin()
	one := ipctest.New(ipctest.Diagnosed(ipctest.Shop("web"), web, runtime.Diagnostic{File: dir + "/one.go", Line: 1, Text: "one"}))
	stop := daemon(t, dir+"/s", one)
	e.want("one.go", `"message":"one"`)
	stop()
	two := ipctest.New(ipctest.Diagnosed(ipctest.Shop("web"), web, runtime.Diagnostic{File: dir + "/two.go", Line: 1, Text: "two"}))
	daemon(t, dir+"/s", two)
	e.want("two.go", `"message":"two"`)
	e.want("one.go", `"diagnostics":[]`)
	e.leave()
}

func TestSymbolicLinksAreNamedAsTheEditorDoes(t *testing.T) {
	dir := shortDir(t)
	write(t, dir+"/real/a.go", "package a\n")
	if err := os.Symlink(dir+"/real", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	daemon(t, dir+"/s", ipctest.New(ipctest.Diagnosed(ipctest.Shop("web"), web, runtime.Diagnostic{File: dir + "/real/a.go", Line: 1, Text: "x"})))
	e := open(t, dir+"/s", "/nowhere")
	e.begin(dir + "/link")
	e.want("file://" + dir + "/link/a.go")
	e.leave()
}

func TestFoldersChange(t *testing.T) {
	dir := shortDir(t)
	daemon(t, dir+"/s", ipctest.New(ipctest.Diagnosed(ipctest.Shop("web"), web,
		runtime.Diagnostic{File: "/a/x.go", Line: 1, Text: "in a"}, runtime.Diagnostic{File: "/b/x.go", Line: 1, Text: "in b"})))
	e := open(t, dir+"/s", "/nowhere")
	e.begin("/a")
	e.want("/a/x.go", "in a")
	e.say(`{"jsonrpc":"2.0","method":"workspace/didChangeWorkspaceFolders","params":{"event":{"added":[{"uri":"file:///b"}],"removed":[{"uri":"file:///a"}]}}}`)
	e.want("/b/x.go", "in b")
	e.want("/a/x.go", `"diagnostics":[]`)
	e.leave()
}

func TestProtocolErrors(t *testing.T) {
	e := open(t, shortDir(t)+"/none", "/nowhere")
	e.say(`{"jsonrpc":"2.0","id":7,"method":"textDocument/hover","params":{}}`)
	e.want(`"id":7`, `-32002`)
	e.say(`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{}}`)
	e.say(`not json`)
	e.want(`"id":null`, `-32700`)
	e.say(`{"jsonrpc":"2.0","id":8,"method":"initialize","params":[]}`)
	e.want(`"id":8`, `-32602`)
	e.begin("/a")
	e.say(`{"jsonrpc":"2.0","id":9,"method":"initialize","params":{}}`)
	e.want(`"id":9`, `-32600`)
	e.say(`{"jsonrpc":"2.0","id":10,"method":"textDocument/hover","params":{}}`)
	e.want(`"id":10`, `-32601`)
	e.say(`{"jsonrpc":"2.0","method":"$/setTrace","params":{"value":"off"}}`)
	e.say(`{"jsonrpc":"2.0","id":1,"result":null}`)
	e.say(`{"jsonrpc":"2.0","method":"workspace/didChangeWorkspaceFolders","params":7}`)
	e.say(`{"jsonrpc":"2.0","id":11,"method":"shutdown"}`)
	e.want(`"id":11`, `"result":null`)
	e.say(`{"jsonrpc":"2.0","id":12,"method":"shutdown"}`)
	e.want(`"id":12`, `-32600`)
	e.say(`{"jsonrpc":"2.0","method":"exit"}`)
	e.ends(nil)
}

func TestEndsOfTheEditor(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"closed", "", nil},
		{"exit without shutdown", "Content-Length: 33\r\n\r\n" + `{"jsonrpc":"2.0","method":"exit"}`, anError},
		{"cut in a header", "Content-Len", anError},
		{"cut in the content", "Content-Length: 100\r\n\r\n{", anError},
		{"no length", "Content-Type: x\r\n\r\n{}", anError},
		{"a length that is none", "Content-Length: -1\r\n\r\n{}", anError},
		{"a length too large", "Content-Length: 99999999999\r\n\r\n{}", anError},
		{"an endless header", strings.Repeat("x", 1<<20), anError},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t, shortDir(t)+"/none", "/nowhere")
			go func() { // ends when all is read, or In is closed
				_, _ = e.in.Write([]byte(c.text))
				_ = e.in.Close()
			}()
			e.ends(c.want)
		})
	}
}
