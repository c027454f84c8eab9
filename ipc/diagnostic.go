package ipc

import (
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Diagnostic returns what m says in the contract's words.
func Diagnostic(m *steadpb.Diagnostic) runtime.Diagnostic {
	return runtime.Diagnostic{
		File:       m.GetFile(),
		Line:       int(m.GetLine()),
		Column:     int(m.GetColumn()),
		EndLine:    int(m.GetEndLine()),
		EndColumn:  int(m.GetEndColumn()),
		Severity:   runtime.Severity(m.GetSeverity()),
		Text:       m.GetText(),
		Hint:       m.GetHint(),
		Source:     m.GetSource(),
		Service:    m.GetService(),
		Generation: m.GetGeneration(),
		Cause:      m.GetCause(),
		Tool:       m.GetTool(),
		Code:       m.GetCode(),
	}
}

func diagnosticView(d runtime.Diagnostic) *steadpb.Diagnostic {
	return &steadpb.Diagnostic{
		File:       valid(d.File),
		Line:       int32(d.Line),
		Column:     int32(d.Column),
		EndLine:    int32(d.EndLine),
		EndColumn:  int32(d.EndColumn),
		Severity:   string(d.Severity),
		Text:       valid(d.Text),
		Hint:       valid(d.Hint),
		Source:     valid(d.Source),
		Service:    valid(d.Service),
		Generation: d.Generation,
		Cause:      valid(d.Cause),
		Tool:       valid(d.Tool),
		Code:       valid(d.Code),
	}
}

// Bounds of the diagnostics in one answer, so that a thousand services that do
// not build fit in a message, too.
const (
	diagnosticsPerService = 50
	diagnosticsInAll      = 2000
	diagnosticText        = 2 << 10 // bytes
)

// serviceDiagnostics is what is shown of those of one service, and how many
// are left out.
func serviceDiagnostics(p *Present, name supervisor.Name) ([]*steadpb.Diagnostic, int32) {
	all := p.Diagnostics[name]
	if len(all) == 0 {
		return nil, 0
	}
	shown := all[:min(len(all), max(1, min(diagnosticsPerService, diagnosticsInAll/len(p.Diagnostics))))]
	views := diagnosticViews(shown)
	for _, v := range views {
		v.Text, v.Hint, v.Source = short(v.Text), short(v.Hint), short(v.Source)
		if v.Service == "" {
			v.Service = name.Service
		}
	}
	return views, int32(len(all) - len(shown))
}

func short(text string) string {
	if len(text) <= diagnosticText {
		return text
	}
	return valid(text[:diagnosticText]) + "…"
}

func diagnosticViews(list []runtime.Diagnostic) []*steadpb.Diagnostic {
	out := make([]*steadpb.Diagnostic, 0, len(list))
	for _, d := range list {
		out = append(out, diagnosticView(d))
	}
	return out
}
