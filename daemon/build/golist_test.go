package build

import (
	"slices"
	"strings"
	"testing"
)

func TestGoLists(t *testing.T) {
	for _, c := range []struct {
		command string // words, or after "sh: " a script
		want    string // per list: dir, env, what is behind the fields; empty: none
	}{
		{"go build -o bin/web ./web", "/p: ./web"},
		{"go build", "/p: ."},
		{"go install ./...", "/p: ./..."},
		{"go run ./x -addr :80 ./y", "/p: ./x"},
		{"go run main.go util.go x.txt", "/p: main.go util.go"},
		{"/usr/local/go/bin/go build ./web", "/p: ./web"},
		{"go build -C sub -tags=a,b -race ./web ./api", "/p/sub: -tags=a,b -race ./web ./api"},
		{"go -C /abs build -tags dev -ldflags -s -o x .", "/abs: -tags=dev ."},
		{"go build -mod vendor -trimpath -v -modfile=alt.mod .", "/p: -mod=vendor -modfile=alt.mod . +/p/alt.mod"},
		{"env GOOS=linux CGO_ENABLED=0 go build ./web", "/p: GOOS=linux CGO_ENABLED=0 ./web"},
		{"go run example.com/tool@v1.2.3", ""},
		{"go test ./...", ""},
		{"go generate ./...", ""},
		{"make web", ""},
		{"cargo build", ""},
		{"", ""},
		{"sh: CGO_ENABLED=0 go build -o bin/web ./web", "/p: CGO_ENABLED=0 ./web"},
		{"sh: set -e; mkdir -p bin && cd web && go vet . && go build -o ../bin/web .", "/p/web: ."},
		{"sh: go build -o bin/a ./a && go build -o bin/b ./b", "/p: ./a; /p: ./b"},
		{"sh: go build -o bin/a ./a && exec ./bin/a -x", "/p: ./a"},
		{`sh: go build -ldflags "-X main.v=$(git describe)" -o bin/a ./a 2>&1 | tee log`, "/p: ./a"},
		{"sh: export GOFLAGS=-mod=mod; go build ./a", "/p: GOFLAGS=-mod=mod ./a"},
		{"sh: go build ./$NAME", ""},
		{"sh: make proto && go build ./a", ""},
		{"sh: if true; then go build ./a; fi", ""},
		{"sh: go build (", ""},
	} {
		command := strings.Fields(c.command)
		if text, ok := strings.CutPrefix(c.command, "sh: "); ok {
			command = []string{"sh", "-c", text}
		}
		var got []string
		for _, l := range GoLists(command, "/p") {
			at := slices.Index(l.Argv, listFields)
			words := slices.Concat([]string{l.Dir + ":"}, l.Env, l.Argv[at+1:])
			for _, f := range l.Files {
				words = append(words, "+"+f)
			}
			got = append(got, strings.Join(words, " "))
		}
		if all := strings.Join(got, "; "); all != c.want {
			t.Errorf("%s: %q, want %q", c.command, all, c.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		names, command string
		want, lacks    []string
		ignore         string
	}{
		{"package.json index.js", "node index.js", []string{"**/*.ts", "index.js"}, []string{"**/*.py"}, "**/node_modules/**"},
		{"pyproject.toml", "uvicorn app:app", []string{"**/*.py"}, []string{"app:app"}, "**/.venv/**"},
		{"Cargo.toml", "cargo run", []string{"**/*.rs", "Cargo.lock"}, nil, "**/target/**"},
		{"Web.csproj", "dotnet run", []string{"**/*.cs"}, nil, "**/obj/**"},
		{"pom.xml", "mvn spring-boot:run", []string{"**/src/main/**"}, nil, "**/target/**"},
		{"Gemfile", "bundle exec rails s", []string{"**/*.rb"}, nil, "tmp/**"},
		{"composer.json", "php -S 127.0.0.1:80", []string{"**/*.php"}, []string{"127.0.0.1:80"}, "**/vendor/**"},
		{"mix.exs", "mix phx.server", []string{"**/*.ex"}, []string{"phx.server"}, "**/_build/**"},
		{"deno.json", "deno run main.ts", []string{"main.ts", "deno.lock"}, nil, "**/*_test.ts"},
		{"", "bin/catalog --config=etc/a.toml -v", []string{"bin/catalog", "etc/a.toml"}, nil, ""},
		{"", "python3 server.py --port 80", []string{"server.py"}, nil, ""},
		{"", "/usr/bin/env ./run.sh", []string{"run.sh"}, []string{"/usr/bin/env"}, ""},
		{"", "a[1]/x.py http://h/x.py", []string{`a\[1]/x.py`}, []string{"http:/h/x.py"}, ""},
	} {
		g := Defaults(strings.Fields(c.names), strings.Fields(c.command))
		for _, want := range c.want {
			if !slices.Contains(g.Paths, want) {
				t.Errorf("%s, %s: no %s in %q", c.names, c.command, want, g.Paths)
			}
		}
		for _, not := range c.lacks {
			if slices.Contains(g.Paths, not) {
				t.Errorf("%s, %s: %s in %q", c.names, c.command, not, g.Paths)
			}
		}
		if c.ignore != "" && !slices.Contains(g.Ignore, c.ignore) {
			t.Errorf("%s: %s is not ignored: %q", c.names, c.ignore, g.Ignore)
		}
	}
	if g := Defaults(nil, []string{"sh", "-c", "cat x/y.txt | ./filter.sh > $OUT"}); strings.Join(g.Paths, " ") != "filter.sh x/y.txt" {
		t.Errorf("of a script: %q", g.Paths)
	}
}
