package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"

	"shop/cartpb"
)

var page = template.Must(template.New("").Parse(`<!doctype html>
<title>shop</title>
<h1>Shop</h1>
<ul>{{range .Products}}
  <li>{{.Name}}, {{.Price}} <form method="post" style="display:inline"><button name="product" value="{{.Name}}">buy</button></form>{{end}}
</ul>
<p>In your cart: {{range .Cart}}{{.}} {{else}}nothing yet{{end}}
`))

type product struct{ Name, Price string }

type front struct {
	catalog string // URL
	cart    cartpb.CartClient
}

func (f *front) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if err := f.show(w, r); err != nil {
			slog.Warn("page", "err", err)
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		_, err := f.cart.Add(r.Context(), &cartpb.AddRequest{Customer: "you", Product: r.FormValue("product")})
		if err != nil {
			slog.Warn("buy", "err", err)
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	return mux
}

func (f *front) show(w http.ResponseWriter, r *http.Request) error {
	products, err := f.products(r.Context())
	if err != nil {
		return fmt.Errorf("ask catalog: %w", err)
	}
	contents, err := f.cart.Get(r.Context(), &cartpb.GetRequest{Customer: "you"})
	if err != nil {
		return fmt.Errorf("ask cart: %w", err)
	}
	return page.Execute(w, map[string]any{"Products": products, "Cart": contents.Products})
}

func (f *front) products(ctx context.Context) (out []product, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.catalog+"/products", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return out, json.NewDecoder(resp.Body).Decode(&out)
}
