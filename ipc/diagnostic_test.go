package ipc_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

func TestDiagnosticsSurviveTheWay(t *testing.T) {
	want := runtime.Diagnostic{
		File: "/src/shop/web/main.go", Line: 3, Column: 5, EndLine: 3, EndColumn: 9, Severity: runtime.SeverityError, Text: "undefined: x",
		Hint: "h", Source: "x := y", Service: "web", Generation: 7, Cause: "saved web/main.go", Tool: "go", Code: "E1",
	}
	s := serve(t, ipctest.New(ipctest.Diagnosed(ipctest.Shop("web"), ipctest.Name("web"), want)))
	status, err := s.Status(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	why, err := s.Why(t.Context(), &steadpb.WhyRequest{Selection: &steadpb.Selection{Services: []string{"web"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, sent := range [][]*steadpb.Diagnostic{status.GetServices()[0].GetDiagnostics(), why.GetDiagnostics()} {
		if len(sent) != 1 || ipc.Diagnostic(sent[0]) != want {
			t.Errorf("got %v, want %v", sent, want)
		}
	}
}

func TestWatchFollowsDiagnostics(t *testing.T) {
	web := ipctest.Name("web")
	b := ipctest.New(ipctest.Shop("api", "web"))
	w := watchOf(t, serve(t, b), nil)
	receive := func() string {
		t.Helper()
		m, err := w.Receive()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range m.GetServices() {
			got = append(got, s.GetName())
			for _, d := range s.GetDiagnostics() {
				got = append(got, d.GetText())
			}
		}
		return strings.Join(got, " ")
	}
	if got := receive(); got != "api web" {
		t.Errorf("the present: %q", got)
	}
	for _, c := range []struct {
		list []runtime.Diagnostic
		want string
	}{
		{[]runtime.Diagnostic{{File: "/a", Text: "one"}, {File: "/a", Text: "two"}}, "web one two"},
		{[]runtime.Diagnostic{{File: "/a", Text: "one"}, {File: "/a", Text: "three"}}, "web one three"},
		{nil, "web"},
	} {
		b.Show(ipctest.Diagnosed(b.Present(), web, c.list...))
		if got := receive(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestDiagnosticsOfManyServicesFitInAMessage has 1,000 services that say more
// than anybody reads.
func TestDiagnosticsOfManyServicesFitInAMessage(t *testing.T) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("s", i)
	}
	p := ipctest.Shop(names...)
	list := make([]runtime.Diagnostic, 100)
	for i := range list {
		list[i] = runtime.Diagnostic{File: "/a", Line: i, Text: strings.Repeat("é", 4096), Source: "\xff"}
	}
	few := ipctest.Diagnosed(p, ipctest.Name("s0"), list...)
	p.Diagnostics = few.Diagnostics
	for _, n := range names {
		p.Diagnostics[ipctest.Name(n)] = list
	}
	b := ipctest.New(p)
	s := serve(t, b)
	status, err := s.Status(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if size := proto.Size(status); size > 8<<20 {
		t.Errorf("%d bytes", size)
	}
	if one := status.GetServices()[0]; len(one.GetDiagnostics()) != 2 || one.GetDiagnosticsLeftOut() != 98 {
		t.Errorf("%d shown, %d left out", len(one.GetDiagnostics()), one.GetDiagnosticsLeftOut())
	}
}
