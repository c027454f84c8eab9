package image

import (
	"io/fs"
	"os"
)

// user is who runs in images: nobody's account, by number, as Kubernetes can
// tell only by number that it is not root (runAsNonRoot). It is the one that
// distroless images use.
const (
	userID = 65532
	user   = "65532:65532"
)

// certificateFiles are where systems keep the CA certificates of all, in the
// order in which Go's crypto/x509 looks. The last one is macOS's and Alpine's.
var certificateFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// certificatesInImage is where every TLS library looks first.
const certificatesInImage = "etc/ssl/certs/ca-certificates.crt"

// scratch is what a static program wants besides itself.
func scratch(certs []string) []entry {
	dir := func(name string) entry { return entry{name: name, mode: fs.ModeDir | 0o755} }
	file := func(name, text string) entry { return entry{name: name, mode: 0o644, data: []byte(text)} }
	entries := []entry{
		dir("etc"), dir("home"),
		{name: "tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{name: "home/nonroot", mode: fs.ModeDir | 0o700, owner: userID},
		file("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"),
		file("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
	}
	for _, name := range certs {
		if text, err := os.ReadFile(name); err == nil && len(text) > 0 {
			return append(entries, dir("etc/ssl"), dir("etc/ssl/certs"), entry{name: certificatesInImage, mode: 0o644, data: text})
		}
	}
	return entries
}

// scratchDirectories are not for a service's layer to change.
func scratchDirectories() map[string]bool {
	dirs := map[string]bool{}
	for _, e := range scratch(nil) {
		if e.mode.IsDir() {
			dirs[e.name] = true
		}
	}
	dirs["etc/ssl"], dirs["etc/ssl/certs"] = true, true
	return dirs
}
