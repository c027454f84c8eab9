package ipc_test

import (
	"errors"
	"testing"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

func TestEnv(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api", "web"))
	var asked ipc.EnvRequest
	b.OnEnv = func(n supervisor.Name, req ipc.EnvRequest) (ipc.EnvResult, error) {
		if asked = req; n != ipctest.Name("web") {
			t.Errorf("asked for %v", n)
		}
		return ipc.EnvResult{
			Project:   ipc.Project{ID: "shop-1", Name: "shop"},
			Variables: []ipc.EnvVariable{{Name: "A", Value: "\xff", Origin: "caller"}, {Name: "B", Origin: "/f:1", Masked: true}},
			Warnings:  []runtime.Diagnostic{{File: "/f", Text: "odd"}},
		}, nil
	}
	s := serve(t, b)
	sel := &steadpb.Selection{Directory: "/src/shop", Services: []string{"web"}}
	res, err := s.Env(t.Context(), &steadpb.EnvRequest{Selection: sel, ShowSecrets: true, Refresh: true, Environment: []string{"A=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if !asked.ShowSecrets || !asked.Refresh || len(asked.Environment) != 1 {
		t.Errorf("asked %+v", asked)
	}
	if len(res.Variables) != 2 || !res.Variables[1].Masked || res.Variables[0].Origin != "caller" || res.Service != "web" || res.Name != "shop" || len(res.Warnings) != 1 {
		t.Errorf("answer %v", res)
	}
	for name, req := range map[string]*steadpb.EnvRequest{
		"no service":   {Selection: &steadpb.Selection{Directory: "/src/shop"}},
		"two services": {Selection: &steadpb.Selection{Directory: "/src/shop", Services: []string{"api", "web"}}},
		"not KEY=":     {Selection: sel, Environment: []string{"secret"}},
	} {
		if _, err := s.Env(t.Context(), req); !errors.Is(err, runtime.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	schema, err := s.Check(t.Context(), &steadpb.CheckRequest{Schema: true})
	if err != nil || schema.Schema != b.Schema() {
		t.Errorf("schema %v, %v", schema, err)
	}
}
