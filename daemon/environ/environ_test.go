package environ

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	shell := []string{"PATH=/home/me/bin:/usr/bin", "FOO=shell", "GOPATH=/go", "HOME=/home/me"}
	for _, c := range []struct {
		name                    string
		caller, want, fromShell []string
	}{
		{"a terminal's own stand", []string{"TERM=xterm", "PATH=/opt/bin:/usr/bin", "FOO=1", "HOME=/home/me"},
			[]string{"FOO=1", "GOPATH=/go", "HOME=/home/me", "PATH=/opt/bin:/usr/bin", "TERM=xterm"}, []string{"GOPATH"}},
		{"one who is bare gets the PATH", []string{"PATH=/usr/bin:/bin", "FOO=1", "HOME=/home/me"},
			[]string{"FOO=1", "GOPATH=/go", "HOME=/home/me", "PATH=/home/me/bin:/usr/bin"}, []string{"GOPATH", "PATH"}},
		{"a terminal with a short PATH chose it", []string{"TERM=xterm", "PATH=/usr/bin:/bin"},
			[]string{"FOO=shell", "GOPATH=/go", "HOME=/home/me", "PATH=/usr/bin:/bin", "TERM=xterm"}, []string{"FOO", "GOPATH", "HOME"}},
		{"empty is a value", []string{"PATH=/x", "FOO="}, []string{"FOO=", "GOPATH=/go", "HOME=/home/me", "PATH=/x"}, []string{"GOPATH", "HOME"}},
		{"nothing at all", nil, []string{"FOO=shell", "GOPATH=/go", "HOME=/home/me", "PATH=/home/me/bin:/usr/bin"}, []string{"FOO", "GOPATH", "HOME", "PATH"}},
	} {
		merged, fromShell := Merge(shell, c.caller)
		if diff := cmp.Diff(c.want, merged); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if !slices.Equal(fromShell, c.fromShell) {
			t.Errorf("%s: of the shell %v, want %v", c.name, fromShell, c.fromShell)
		}
	}
}

func TestSecret(t *testing.T) {
	for entry, want := range map[[2]string]bool{
		{"DB_PASSWORD", "x"}: true, {"db_passwd", "x"}: true, {"AWS_SECRET_ACCESS_KEY", "x"}: true, {"GITHUB_TOKEN", "x"}: true,
		{"API_KEY", "x"}: true, {"APIKEY", "x"}: true, {"STRIPE_KEY", "x"}: true, {"CREDENTIALS", "x"}: true, {"PGPASS", "x"}: false,
		{"DB_PASS", "x"}: true, {"PRIVATE_KEY_PEM", "x"}: true, {"GPG_PASSPHRASE", "x"}: true,
		{"DSN", "postgres://me:pw@db/x"}: true, {"DSN", "postgres://me@db/x"}: false, {"DSN", "root:pw@tcp(localhost)/x"}: true,
		{"DSN", "host=db password=x"}: true, {"URLS", "http://a,http://u:p@b"}: true, {"ODD", "redis://:p%zz@host"}: true,
		{"ANY", "ghp_0123456789abcdef"}: true, {"ANY", "-----BEGIN RSA PRIVATE KEY-----\n"}: true,
		{"PATH", "/bin:/usr/bin"}: false, {"PWD", "/src"}: false, {"KEYBOARD", "de"}: false, {"MONKEY", "x"}: false, {"API_KEY", ""}: false,
		{"URL", "http://127.0.0.1:80/a@b:c"}: false, {"SSH_AUTH_SOCK", "/tmp/x"}: false, {"IMAGE", "a/b:1@sha256:00"}: false, {"TIME", "12:30"}: false,
	} {
		if got := Secret(entry[0], entry[1]); got != want {
			t.Errorf("%s=%s: %v", entry[0], entry[1], got)
		}
	}
}

func TestNoted(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\n# odd\nme:x:1000:1000::/home/me:/usr/bin/zsh"
	for uid, want := range map[int][2]string{0: {"/root", "/bin/bash"}, 1000: {"/home/me", "/usr/bin/zsh"}, 7: {}} {
		if home, shell := noted(passwd, uid); home != want[0] || shell != want[1] {
			t.Errorf("%d: %q %q", uid, home, shell)
		}
	}
}
