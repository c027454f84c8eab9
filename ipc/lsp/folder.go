package lsp

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// folder is a workspace folder, as the editor names it and as it is on the
// disk: the daemon resolves symbolic links, editors do not.
type folder struct {
	named, real string
}

func folderAt(path string) folder {
	path = filepath.Clean(path)
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	return folder{named: path, real: real}
}

// folders returns what the editor has open; the older fields count when the
// newer ones are not there.
func (p initializeParams) folders() []folder {
	found := foldersOf(p.WorkspaceFolders)
	if path, ok := pathOf(p.RootURI); len(found) == 0 && ok {
		found = append(found, folderAt(path))
	}
	if len(found) == 0 && filepath.IsAbs(p.RootPath) {
		found = append(found, folderAt(p.RootPath))
	}
	return found
}

func foldersOf(named []workspaceFolder) []folder {
	var found []folder
	for _, w := range named {
		if path, ok := pathOf(w.URI); ok {
			found = append(found, folderAt(path))
		}
	}
	return found
}

func (c foldersChanged) apply(now []folder) []folder {
	removed := foldersOf(c.Event.Removed)
	now = slices.DeleteFunc(slices.Clone(now), func(f folder) bool {
		return slices.ContainsFunc(removed, func(r folder) bool { return r.named == f.named })
	})
	return append(now, foldersOf(c.Event.Added)...)
}

// uri returns a file's URI as the editor knows the file, when that is below
// one of the folders.
func uri(folders []folder, file string) (string, bool) {
	for _, f := range folders {
		if rest, ok := below(f.named, file); ok {
			return uriOf(filepath.Join(f.named, rest)), true
		}
	}
	for _, f := range folders {
		if rest, ok := below(f.real, file); ok {
			return uriOf(filepath.Join(f.named, rest)), true
		}
	}
	return "", false
}

func below(dir, file string) (rest string, ok bool) {
	return strings.CutPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

func uriOf(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

// pathOf returns the path of a file's URI (RFC 8089).
func pathOf(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || !filepath.IsAbs(u.Path) {
		return "", false
	}
	return u.Path, true
}
