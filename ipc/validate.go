package ipc

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// violations gathers all that is wrong with a request, so that a client's
// author sees it at once and not one by one.
type violations []string

func (v *violations) add(format string, args ...any) { *v = append(*v, fmt.Sprintf(format, args...)) }

// err returns nil when there are none.
func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	return fmt.Errorf("request: %s: %w", strings.Join(v, "; "), runtime.Invalid)
}

func (v *violations) absolute(field, path string) {
	if path != "" && !filepath.IsAbs(path) {
		v.add("%s: %q is not an absolute path", field, path)
	}
}

// environment wants KEY=VALUE. Windows has names that begin with "="; Unix has not.
func (v *violations) environment(field string, list []string) {
	for i, one := range list {
		if strings.IndexByte(one, '=') < 1 {
			v.add("%s[%d]: want KEY=VALUE", field, i) // the text may be a secret
		}
		if strings.IndexByte(one, 0) >= 0 {
			v.add("%s[%d]: holds a NUL byte", field, i)
		}
	}
}

func (v *violations) names(field string, list []string) {
	for i, one := range list {
		if one == "" {
			v.add("%s[%d]: is empty", field, i)
		}
	}
}

func (v *violations) atLeastZero(field string, n int64) {
	if n < 0 {
		v.add("%s: %d is negative", field, n)
	}
}

func (v *violations) timestamp(field string, t *timestamppb.Timestamp) {
	if t != nil && !t.IsValid() {
		v.add("%s: is no valid time", field)
	}
}

func (v *violations) expression(field, text string) {
	if _, err := regexp.Compile(text); err != nil {
		v.add("%s: %v", field, err)
	}
}

func (v *violations) selection(sel *steadpb.Selection) {
	v.absolute("selection.directory", sel.GetDirectory())
	v.names("selection.services", sel.GetServices())
}

// manifest wants to know which manifest is meant.
func (v *violations) manifest(directory, file string) {
	if directory == "" && file == "" {
		v.add("directory or file: one is needed")
	}
	v.absolute("directory", directory)
	v.absolute("file", file)
}
