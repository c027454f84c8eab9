package gateway

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer says why a request is not served, in the form that the caller reads:
// a gRPC status, JSON, a page for people that looks again by itself, or text.
func answer(w http.ResponseWriter, r *http.Request, status int, reason string, after time.Duration) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		answerGRPC(h, reason)
		w.WriteHeader(http.StatusOK)
		return
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(max(1, int(after.Seconds()))))
	}
	h.Set("X-Content-Type-Options", "nosniff")
	var body string
	switch wanted(r.Header.Values("Accept")) {
	case "application/json":
		h.Set("Content-Type", "application/json")
		text, err := json.Marshal(map[string]any{"error": reason, "status": status})
		if err == nil {
			body = string(text) + "\n"
		}
	case "text/html":
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		body = page(status, reason)
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body = reason + "\n"
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body)
	}
}

// wanted returns the first type of an Accept header that there is a form for.
// Weights are ignored: browsers name HTML first, and whoever names one gets it.
func wanted(accept []string) string {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch kind = strings.ToLower(strings.TrimSpace(kind)); {
		case kind == "application/json", strings.HasSuffix(kind, "+json"):
			return "application/json"
		case kind == "text/html", kind == "application/xhtml+xml":
			return "text/html"
		case kind == "text/plain":
			return kind
		}
	}
	return "text/plain"
}

func page(status int, reason string) string {
	first, _, _ := strings.Cut(reason, "\n")
	return fmt.Sprintf(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>%s</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:4rem auto;padding:0 1rem}pre{white-space:pre-wrap;background:#8881;padding:1rem;border-radius:.4rem}</style>
</head><body><h1>%d %s</h1><pre>%s</pre><p>This page looks again every two seconds.</p></body></html>
`, html.EscapeString(first), status, http.StatusText(status), html.EscapeString(reason))
}

// unavailable is gRPC's code for what may work later.
const unavailable = "14"

// answerGRPC sets the headers of a response without a body, which are its
// trailers too ("Trailers-Only", gRPC over HTTP/2).
func answerGRPC(h http.Header, reason string) {
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", unavailable)
	h.Set("Grpc-Message", percent(reason))
}

// percent encodes what is not printable ASCII, as gRPC has it for
// grpc-message: url.QueryEscape would make blanks of pluses.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
