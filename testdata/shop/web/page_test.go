package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"shop/cartpb"
)

// fullCart is a cart that somebody has put a teapot into.
type fullCart struct{ cartpb.CartClient }

func (fullCart) Get(context.Context, *cartpb.GetRequest, ...grpc.CallOption) (*cartpb.Contents, error) {
	return &cartpb.Contents{Products: []string{"teapot"}}, nil
}

func TestPage(t *testing.T) {
	catalog := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `[{"Name": "kettle", "Price": "39.00"}]`)
	}))
	web := httptest.NewRecorder()
	f := &front{catalog: catalog.URL, cart: fullCart{}}
	f.routes().ServeHTTP(web, httptest.NewRequest("GET", "/", nil))
	if body := web.Body.String(); web.Code != 200 || !strings.Contains(body, "kettle, 39.00") || !strings.Contains(body, "teapot") {
		t.Errorf("status %d, page:\n%s", web.Code, body)
	}

	catalog.Close()
	web = httptest.NewRecorder()
	f.routes().ServeHTTP(web, httptest.NewRequest("GET", "/", nil))
	if web.Code != http.StatusBadGateway {
		t.Errorf("status %d without a catalog, want 502", web.Code)
	}
}
