package lsp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// publish tells the editor what has changed since it was told last: files
// whose diagnostics are new, and those that have none any more.
func (s *session) publish() error {
	if s.phase != phaseOpen {
		return nil
	}
	now := s.byURI()
	for _, uri := range slices.Sorted(maps.Keys(now)) {
		if err := s.publishFile(uri, now[uri]); err != nil {
			return err
		}
	}
	for _, uri := range slices.Sorted(maps.Keys(s.published)) {
		if _, ok := now[uri]; ok {
			continue
		}
		if err := s.notify("textDocument/publishDiagnostics", publishParams{uri, []diagnostic{}}); err != nil {
			return err
		}
		delete(s.published, uri)
	}
	return nil
}

func (s *session) publishFile(uri string, list []diagnostic) error {
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode diagnostics: %w", err)
	}
	if s.published[uri] == string(text) {
		return nil
	}
	s.published[uri] = string(text)
	return s.notify("textDocument/publishDiagnostics", publishParams{uri, list})
}

// byURI sorts what is wrong by file. Two services that are built of one file
// say the same about it: once is enough.
func (s *session) byURI() map[string][]diagnostic {
	all := map[string][]diagnostic{}
	texts := sources{}
	for _, service := range s.wrong {
		for _, d := range service.GetDiagnostics() {
			at, ok := uri(s.folders, d.GetFile())
			if !ok {
				continue
			}
			one := convert(service, d, texts)
			if !slices.ContainsFunc(all[at], one.same) {
				all[at] = append(all[at], one)
			}
		}
	}
	return all
}

func (d diagnostic) same(other diagnostic) bool {
	return d.Range == other.Range && d.Message == other.Message && d.Severity == other.Severity
}

func convert(service *steadpb.Service, d *steadpb.Diagnostic, texts sources) diagnostic {
	out := diagnostic{
		Range: rangeOf(d, texts), Severity: 1, Source: "stead", Message: d.GetText(),
		Code: strings.TrimSpace(d.GetTool() + " " + d.GetCode()),
		Data: data{service.GetProject(), service.GetName(), d.GetGeneration(), d.GetCause()},
	}
	if d.GetSeverity() == "warning" {
		out.Severity = 2
	}
	if d.GetHint() != "" {
		out.Message += "\n" + d.GetHint()
	}
	return out
}
