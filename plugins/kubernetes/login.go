package kubernetes

import (
	"net/http"
	"sync"

	"k8s.io/client-go/rest"
)

// login has a token that is written in the kubeconfig replaced by the one that
// is written there later: client-go does so only for files and commands, and a
// runtime outlives many a token.
type login struct {
	load func() (*rest.Config, error)

	mu    sync.Mutex
	token string
}

func (l *login) wrap(way http.RoundTripper) http.RoundTripper { return loggedIn{way, l} }

// loggedIn is a way to the API server.
type loggedIn struct {
	way   http.RoundTripper
	login *login
}

// RoundTrip implements http.RoundTripper: what is answered 401 is asked once
// more when there is another token by now.
func (l loggedIn) RoundTrip(r *http.Request) (*http.Response, error) {
	used := l.login.current()
	answer, err := l.way.RoundTrip(withToken(r, used))
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		return answer, err
	}
	token := l.login.again()
	if token == used || r.Body != nil && r.GetBody == nil {
		return answer, nil
	}
	second := withToken(r, token)
	if r.GetBody != nil {
		if second.Body, err = r.GetBody(); err != nil {
			return answer, nil // the refusal says more
		}
	}
	answer.Body.Close()
	return l.way.RoundTrip(second)
}

// WrappedRoundTripper lets client-go see what is below.
func (l loggedIn) WrappedRoundTripper() http.RoundTripper { return l.way }

func withToken(r *http.Request, token string) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func (l *login) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// again reads the kubeconfig. As long as that cannot be read the old one holds.
func (l *login) again() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if config, err := l.load(); err == nil && config.BearerToken != "" {
		l.token = config.BearerToken
	}
	return l.token
}
