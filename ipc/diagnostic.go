package ipc

import (
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
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
	}
}

func diagnosticViews(list []runtime.Diagnostic) []*steadpb.Diagnostic {
	out := make([]*steadpb.Diagnostic, 0, len(list))
	for _, d := range list {
		out = append(out, diagnosticView(d))
	}
	return out
}
