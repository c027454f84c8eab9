package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestWrites(t *testing.T) {
	const log = `{"verb":"patch","user":{"username":"stead-admin"},"userAgent":"stead","objectRef":{"resource":"deployments","namespace":"shop","name":"web-1"},"responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2026-01-02T03:04:05.678901Z"}
{"verb":"update","user":{"username":"x"},"objectRef":{"resource":"deployments","subresource":"status","namespace":"other","name":"web-1"},"responseStatus":{"code":200}}
{"verb":"create","user":{"usern`
	c := Cluster{Audit: filepath.Join(t.TempDir(), "audit.log")}
	if got := c.Writes(t, "shop"); got != nil {
		t.Errorf("without a log: %v", got)
	}
	if err := os.WriteFile(c.Audit, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []Write{{"patch", "stead-admin", "stead", "deployments", "", "shop", "web-1", 201, time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)}}
	if got := c.Writes(t, "shop"); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := c.Writes(t, ""); len(got) != 2 || got[1].Sub != "status" {
		t.Errorf("of all namespaces: %+v", got)
	}
}
