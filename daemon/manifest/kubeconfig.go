package manifest

import (
	"fmt"
	"path/filepath"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// CurrentContext returns the context that kubectl would use: the current one
// of file, else of the first file that KUBECONFIG names and that has one, else
// of the one in the home directory. It is empty where there is none at all, as
// within a cluster.
func CurrentContext(file string, caller []string) (string, error) {
	files := []string{file}
	if file == "" {
		values := callers(caller).values
		if files = filepath.SplitList(values["KUBECONFIG"]); len(files) == 0 && values["HOME"] != "" {
			files = []string{filepath.Join(values["HOME"], ".kube", "config")}
		}
	}
	for _, name := range files {
		text, err := readText(name)
		if err != nil && file != "" {
			return "", runtime.WithHint(fmt.Errorf("kubeconfig %s %w", name, err), "write another kubeconfig into the manifest")
		}
		if err != nil {
			continue // one of several need not be there
		}
		var config struct {
			Current string `yaml:"current-context"`
		}
		if err := yaml.Load([]byte(text), &config); err != nil {
			return "", fmt.Errorf("read kubeconfig %s: %w", name, err)
		}
		if config.Current != "" {
			return config.Current, nil
		}
	}
	return "", nil
}
