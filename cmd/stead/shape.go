package main

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// The shapes of --output json. Keys are only ever added; lists and objects
// are never null; times are RFC 3339 in UTC, and null when there is none.

type statusShape struct {
	Services []serviceShape `json:"services"`
	Problem  string         `json:"problem,omitempty"` // why the list may be incomplete
}

type serviceShape struct {
	Project        string          `json:"project"`
	Name           string          `json:"name"`
	Want           string          `json:"want"`
	Phase          string          `json:"phase"`
	Ready          bool            `json:"ready"`
	Generation     uint64          `json:"generation"`
	Restarts       int32           `json:"restarts"`
	URLs           []string        `json:"urls"`
	Instances      []instanceShape `json:"instances"`
	ProjectID      string          `json:"project_id"`
	Directory      string          `json:"directory"`
	Cause          string          `json:"cause"`
	CauseKind      string          `json:"cause_kind"`
	WaitsFor       []string        `json:"waits_for"`
	DependsOn      []string        `json:"depends_on"`
	Since          *time.Time      `json:"since"`
	Until          *time.Time      `json:"until"` // backoff: when it is started again
	OneShot        bool            `json:"one_shot"`
	Terminal       bool            `json:"terminal"`
	Keep           bool            `json:"keep"`
	NextGeneration uint64          `json:"next_generation"`
	Trigger        string          `json:"trigger"` // why generation was made

	Halted string `json:"halted"` // why a process of it stands still: a debugger, SIGSTOP

	Diagnostics        []diagnosticShape `json:"diagnostics"` // of its last build, or of the way it died
	DiagnosticsLeftOut int32             `json:"diagnostics_left_out,omitempty"`
}

type instanceShape struct {
	ID         string            `json:"id"`
	PID        int32             `json:"pid"`
	Phase      string            `json:"phase"`
	Since      *time.Time        `json:"since"`
	Endpoints  map[string]string `json:"endpoints"`
	Replica    int32             `json:"replica"`
	Attempt    int32             `json:"attempt"`
	Generation uint64            `json:"generation"`
	Exit       string            `json:"exit"`
	Detail     string            `json:"detail"`
	Halted     string            `json:"halted"`
}

func shapeStatus(services []*steadpb.Service, problem string) statusShape {
	shape := statusShape{Services: make([]serviceShape, len(services)), Problem: problem}
	for i, s := range services {
		shape.Services[i] = shapeService(s)
	}
	return shape
}

func shapeService(s *steadpb.Service) serviceShape {
	instances := make([]instanceShape, len(s.Instances))
	for i, one := range s.Instances {
		instances[i] = shapeInstance(one)
	}
	return serviceShape{
		Project: s.Project, Name: s.Name, Want: s.Want, Phase: s.Phase, Ready: s.Ready,
		Generation: s.Generation, Restarts: s.Restarts, URLs: list(s.Urls), Instances: instances,
		ProjectID: s.ProjectId, Directory: s.Directory, Cause: s.Cause, CauseKind: s.CauseKind,
		WaitsFor: list(s.WaitsFor), DependsOn: list(s.DependsOn), Since: moment(s.Since), Until: moment(s.Until),
		OneShot: s.OneShot, Terminal: s.Terminal, Keep: s.Keep, NextGeneration: s.NextGeneration, Trigger: s.Trigger, Halted: s.Halted,
		Diagnostics: shapeDiagnostics(s.Diagnostics), DiagnosticsLeftOut: s.DiagnosticsLeftOut,
	}
}

func shapeInstance(i *steadpb.Instance) instanceShape {
	endpoints := i.Endpoints
	if endpoints == nil {
		endpoints = map[string]string{}
	}
	return instanceShape{
		ID: i.Id, PID: i.Pid, Phase: i.Phase, Since: moment(i.Since), Endpoints: endpoints,
		Replica: i.Replica, Attempt: i.Attempt, Generation: i.Generation, Exit: i.Exit, Detail: i.Detail, Halted: i.Halted,
	}
}

// list keeps an empty list from being null.
func list(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}

func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}
