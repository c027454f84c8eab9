package build

import (
	"path/filepath"
	"slices"
	"strings"
)

// Globs are the inputs of a service that nobody can list exactly. They are
// slash paths with ** in them, relative to the service's directory unless
// they are absolute.
type Globs struct {
	Paths  []string
	Ignore []string
}

// projectType says what the services of a kind of project are made of.
type projectType struct {
	markers []string // a file of this name, or with this extension ("*.csproj"), tells
	paths   []string
	ignore  []string
}

// projectTypes is the table; a directory may be of several types.
var projectTypes = []projectType{
	{[]string{"go.mod", "go.work", "*.go"}, []string{"**/*.go", "**/go.mod", "**/go.sum", "go.work", "go.work.sum"}, []string{"**/*_test.go", "**/testdata/**"}},
	{[]string{"package.json"}, []string{
		"**/*.js", "**/*.jsx", "**/*.ts", "**/*.tsx", "**/*.mjs", "**/*.cjs", "**/*.mts", "**/*.cts", "**/*.vue", "**/*.svelte", "**/*.json", "**/*.graphql", "**/*.proto",
		"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock",
	}, []string{"**/node_modules/**", "**/dist/**", "**/build/**", "**/coverage/**", "**/.next/**", "**/.turbo/**", "**/*.test.*", "**/*.spec.*", "**/__tests__/**"}},
	{[]string{"deno.json", "deno.jsonc"}, []string{"**/*.ts", "**/*.tsx", "**/*.js", "**/*.jsx", "**/*.mjs", "deno.json", "deno.jsonc", "deno.lock", "import_map.json"}, []string{"**/node_modules/**", "**/*_test.ts"}},
	{[]string{"pyproject.toml", "requirements.txt", "setup.py", "Pipfile", "manage.py"}, []string{
		"**/*.py", "**/*.pyi", "**/*.jinja", "**/*.j2", "**/templates/**", "pyproject.toml", "requirements*.txt", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "Pipfile*",
	}, []string{"**/__pycache__/**", "**/.venv/**", "**/venv/**", "**/.tox/**", "**/*.egg-info/**", "**/test_*.py", "**/*_test.py", "**/.pytest_cache/**", "**/.mypy_cache/**"}},
	{[]string{"Cargo.toml"}, []string{"**/*.rs", "**/Cargo.toml", "Cargo.lock", "**/build.rs", ".cargo/config.toml", "rust-toolchain*"}, []string{"**/target/**", "**/tests/**", "**/benches/**"}},
	{[]string{"pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"}, []string{
		"**/src/main/**", "**/pom.xml", "**/*.gradle", "**/*.gradle.kts", "gradle.properties", "gradle/libs.versions.toml",
	}, []string{"**/target/**", "**/build/**", "**/.gradle/**", "**/src/test/**"}},
	{[]string{"*.csproj", "*.fsproj", "*.vbproj", "*.sln"}, []string{
		"**/*.cs", "**/*.fs", "**/*.vb", "**/*.cshtml", "**/*.razor", "**/*.csproj", "**/*.fsproj", "**/*.vbproj", "**/appsettings*.json", "**/*.props", "**/*.targets", "*.sln",
	}, []string{"**/bin/**", "**/obj/**"}},
	{[]string{"Gemfile", "config.ru"}, []string{"**/*.rb", "**/*.erb", "**/*.haml", "**/*.slim", "**/*.ru", "**/*.rake", "Gemfile", "Gemfile.lock", "config/**"}, []string{"**/vendor/bundle/**", "tmp/**", "log/**", "**/spec/**", "**/test/**"}},
	{[]string{"composer.json"}, []string{"**/*.php", "**/*.twig", "composer.json", "composer.lock", "config/**"}, []string{"**/vendor/**", "var/**", "storage/**", "**/tests/**"}},
	{[]string{"mix.exs"}, []string{"**/*.ex", "**/*.exs", "**/*.eex", "**/*.heex", "**/*.leex", "mix.lock"}, []string{"**/_build/**", "**/deps/**", "**/test/**", "**/node_modules/**"}},
	{[]string{"CMakeLists.txt", "meson.build", "Makefile", "makefile", "GNUmakefile"}, []string{
		"**/*.c", "**/*.cc", "**/*.cpp", "**/*.cxx", "**/*.h", "**/*.hh", "**/*.hpp", "**/CMakeLists.txt", "**/*.cmake", "**/meson.build", "**/Makefile", "**/*.mk",
	}, []string{"**/build/**", "**/cmake-build-*/**"}},
	{[]string{"build.zig"}, []string{"**/*.zig", "**/*.zon"}, []string{"**/zig-out/**", "**/.zig-cache/**", "**/zig-cache/**"}},
	{[]string{"pubspec.yaml"}, []string{"**/*.dart", "pubspec.yaml", "pubspec.lock"}, []string{"**/.dart_tool/**", "**/build/**", "**/test/**"}},
}

// Defaults returns the inputs of a service by what its directory looks like:
// names are those of the files in it. The files that its commands name count
// always: a script, a configuration, an executable that something else makes.
func Defaults(names []string, commands ...[]string) Globs {
	var g Globs
	for _, t := range projectTypes {
		if t.marks(names) {
			g.Paths = append(g.Paths, t.paths...)
			g.Ignore = append(g.Ignore, t.ignore...)
		}
	}
	for _, command := range commands {
		g.Paths = append(g.Paths, named(command)...)
	}
	slices.Sort(g.Paths)
	slices.Sort(g.Ignore)
	g.Paths, g.Ignore = slices.Compact(g.Paths), slices.Compact(g.Ignore)
	return g
}

func (t projectType) marks(names []string) bool {
	return slices.ContainsFunc(t.markers, func(marker string) bool {
		extension, wild := strings.CutPrefix(marker, "*")
		return slices.ContainsFunc(names, func(name string) bool {
			return name == marker || wild && strings.HasSuffix(name, extension)
		})
	})
}

// named returns what looks like files in a command: what has a slash in it,
// or an extension of source. Globs' own characters are taken literally.
func named(command []string) []string {
	if text, ok := shellText(command); ok {
		command = strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()<>\"'`", r) })
	}
	var files []string
	for i, word := range command {
		if flag, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(flag, "-") {
			word = value // --config=app.toml
		}
		slash := strings.Contains(word, "/")
		if i == 0 && filepath.IsAbs(word) { // /usr/bin/python3: not what is edited
			continue
		}
		if strings.HasPrefix(word, "-") || strings.Contains(word, "://") || strings.Contains(word, "$") || !slash && !source(word) {
			continue
		}
		if word = filepath.ToSlash(filepath.Clean(word)); word != "." && !strings.HasPrefix(word, "/dev/") {
			files = append(files, quoteGlob.Replace(word))
		}
	}
	return files
}

var quoteGlob = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, "{", `\{`, `\`, `\\`)
