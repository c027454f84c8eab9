package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// checkLinks refuses links that would not lead in the image to where they lead
// here. One that leads nowhere here may lead nowhere there.
func (t *tree) checkLinks() error {
	for rel, e := range t.found {
		if e.mode.Type() != fs.ModeSymlink {
			continue
		}
		if err := t.checkLink(rel, e.target); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) checkLink(rel, target string) error {
	if path.IsAbs(target) {
		return runtime.WithHint(fmt.Errorf("link %s leads to %s, which is another place in the image: %w", rel, target, runtime.Invalid),
			"make it a relative link")
	}
	_, err := t.root.Stat(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return runtime.WithHint(fmt.Errorf("link %s leads out of the service's directory, to %s: %w", rel, target, runtime.Invalid),
			"pack a copy of what it leads to")
	}
	if _, ok := t.resolve(rel); !ok {
		return runtime.WithHint(fmt.Errorf("link %s leads to %s, which is not packed: %w", rel, target, runtime.Invalid),
			"name that among the files too")
	}
	return nil
}

// maxLinks is how many links Linux follows in one path (path_resolution(7)).
const maxLinks = 40

// resolve follows links in the way the kernel will do it in the image, and
// returns what is at rel.
func (t *tree) resolve(rel string) (string, bool) {
	at, rest := ".", strings.Split(rel, "/")
	for links := 0; len(rest) > 0; {
		step := rest[0]
		rest = rest[1:]
		next := path.Join(at, step)
		if next == "." {
			at = next
			continue
		}
		e, ok := t.found[next]
		if !ok {
			return "", false
		}
		if e.mode.Type() != fs.ModeSymlink {
			at = next
			continue
		}
		if links++; links > maxLinks || path.IsAbs(e.target) {
			return "", false
		}
		rest = append(strings.Split(e.target, "/"), rest...)
	}
	return at, true
}
