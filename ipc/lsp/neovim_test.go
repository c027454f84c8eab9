package lsp_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/runtime"
)

// script opens the file, waits for a diagnostic, says so by writing a file,
// and waits until there is none any more. It speaks to neovim 0.7 and later.
const script = `
local function fail(text) io.stderr:write(text .. "\n"); vim.cmd("cquit 1") end
local id = vim.lsp.start_client({name = "stead", cmd = {%q}, cmd_env = {%s = %q}, root_dir = %q})
vim.cmd("edit " .. vim.fn.fnameescape(%q))
vim.lsp.buf_attach_client(0, id)
if not vim.wait(%d, function() return #vim.diagnostic.get(0) > 0 end, 20) then fail("no diagnostic came") end
local d = vim.diagnostic.get(0)[1]
local text = string.format("%%d:%%d-%%d:%%d %%s %%s %%s", d.lnum, d.col, d.end_lnum, d.end_col, d.severity, d.source, d.message)
vim.fn.writefile({text}, %q .. ".tmp")
vim.loop.fs_rename(%q .. ".tmp", %q)
if not vim.wait(%d, function() return #vim.diagnostic.get(0) == 0 end, 20) then fail("the diagnostic stays") end
vim.lsp.stop_client(id)
vim.wait(%d, function() return vim.lsp.client_is_stopped(id) end, 20)
vim.cmd("qa!")
`

func TestNeovimShowsWhatIsWrong(t *testing.T) {
	nvim, err := exec.LookPath("nvim")
	if err != nil {
		t.Skip("needs: nvim")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	file, shown := dir+"/my proj/é main.go", dir+"/shown"
	write(t, file, "package main\n\tx := \"é😀\" + undefined\n")
	b := ipctest.New(ipctest.Diagnosed(ipctest.Shop("web"), web, runtime.Diagnostic{
		File: file, Line: 2, Column: 18, Severity: runtime.SeverityError, Text: "undefined: undefined", Tool: "go",
	}))
	daemon(t, dir+"/s", b)
	ms := patience.Milliseconds()
	write(t, dir+"/t.lua", fmt.Sprintf(script, self, socketVariable, dir+"/s", filepath.Dir(file), file, ms, shown, shown, shown, ms, ms))

	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, nvim, "--headless", "-u", "NONE", "-i", "NONE", "-S", dir+"/t.lua")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_DATA_HOME="+dir, "LC_ALL=C.UTF-8")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with neovim, which ctx ends
	await(t, shown, ended, &said)
	got, err := os.ReadFile(shown)
	if err != nil {
		t.Fatal(err)
	}
	// neovim counts columns in bytes: it has converted them back.
	if text := strings.TrimSpace(string(got)); text != "1:17-1:26 1 stead undefined: undefined" {
		t.Errorf("shown: %s", text)
	}
	b.Show(ipctest.Diagnosed(b.Present(), web))
	if err := <-ended; err != nil {
		t.Errorf("neovim: %v\n%s", err, said.Bytes())
	}
}

// await waits until the file is there, or neovim has ended.
func await(t *testing.T, file string, ended chan error, said *bytes.Buffer) {
	t.Helper()
	for {
		if _, err := os.Stat(file); err == nil {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("neovim: %v\n%s", err, said.Bytes())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
