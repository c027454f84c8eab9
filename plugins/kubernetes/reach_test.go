package kubernetes

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestReachOfAClusterThatAnswersAndGoes: one that answered was taken for an
// error without a text, which ended the runtime.
func TestReachOfAClusterThatAnswersAndGoes(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/version" {
			asked <- struct{}{}
			return
		}
		http.Error(w, "not here", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Client: client, Config: config, Namespace: "shop", Environment: "staging", Project: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	<-asked
	<-asked // the first answer was understood
	if text := r.reach.trouble(); text != "" {
		t.Fatalf("it answers: %s", text)
	}
	server.Close()
	for deadline := time.Now().Add(time.Minute); r.reach.trouble() == ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody was told that it is away")
		}
	}
	if text := r.reach.trouble(); !strings.Contains(text, server.URL) {
		t.Errorf("the address is missing: %s", text)
	}
}
