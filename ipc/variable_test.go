package ipc

import (
	"strings"
	"testing"
)

func TestMissingVariable(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"sh: 1: DATABASE_URL: parameter not set", "DATABASE_URL"},
		{"run.sh: line 3: db: parameter null or not set", "db"},
		{"./run: line 12: API_KEY: unbound variable", "API_KEY"},
		{"2026/01/02 03:04:05 required key DATABASE_URL missing value", "DATABASE_URL"},
		{`env: required environment variable "PORTS" is not set`, "PORTS"},
		{`panic: environment variable HOSTNAME not set`, "HOSTNAME"},
		{"Error: Missing required environment variable: STRIPE_KEY\n    at Object.<anonymous> (/app/index.js:3:9)\n\nNode.js v20.20.0", "STRIPE_KEY"},
		{"FATAL: the DATABASE_URL environment variable is not defined", "DATABASE_URL"},
		{"ERROR DATABASE_URL must be set", "DATABASE_URL"},
		{"DATABASE_URL must be set: NotPresent", "DATABASE_URL"},
		{`Error: environment variable not found: "REDIS_URL"`, "REDIS_URL"},
		{"please set SECRET_KEY_BASE", "SECRET_KEY_BASE"},
		{"Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    os.environ['DATABASE_URL']\n  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'DATABASE_URL'", "DATABASE_URL"},
		{`a.rb:1:in 'Hash#fetch': key not found: "DATABASE_URL" (KeyError)`, "DATABASE_URL"},
		{`Could not resolve placeholder 'DB_HOST' in value "${DB_HOST}"`, "DB_HOST"},
		{"first FOO_BAR is not set, then\nBAR_FOO is not set", "BAR_FOO"},

		{"cannot reach the moon", ""},
		{"ERROR is not set in stone", ""},
		{"KeyError: 'NAME'", ""},
		{"TypeError: FOO is undefined", ""},
		{"SELECT * FROM users: column NAME required", ""},
		{"HTTP_PROXY is set, DATABASE_URL too", ""},
		{"exit status ENOENT", ""},
		{"", ""},
		{strings.Repeat("A_", 1<<20), ""},
		{"\xff\xfe\x00 FOO", ""},
	} {
		if got, line := missingVariable(strings.Split(c.lines, "\n")); got != c.want || !strings.Contains(line, got) {
			t.Errorf("%.100q: %q in %q, want %q", c.lines, got, line, c.want)
		}
	}
}
