package image

import (
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
)

// LabelSBOM is the label with what the executable is made of, where that is a
// Go program: a CycloneDX 1.6 document (ECMA-424) in JSON, by gzip and base64.
const LabelSBOM = "dev.stead.sbom"

// maxSBOM is how long the label may be. Ten thousand modules fit, and
// registries take configurations of 4 MiB.
const maxSBOM = 512 << 10

// bill is what a Go executable says of itself.
type bill struct {
	version, revision string // of the program, where known
	label             string // empty when it did not fit
	components        int
}

type sbomDocument struct {
	Format      string          `json:"bomFormat"`
	SpecVersion string          `json:"specVersion"`
	Version     int             `json:"version"`
	Metadata    sbomMetadata    `json:"metadata"`
	Components  []sbomComponent `json:"components"`
}

type sbomMetadata struct {
	Component sbomComponent `json:"component"`
}

type sbomComponent struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	URL     string `json:"purl,omitempty"`
}

// readBill returns nil for what is no Go program.
func readBill(t *tree, source string) *bill {
	f, err := t.root.Open(source)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := readBuildInfo(f)
	if err != nil {
		return nil
	}
	b := &bill{version: released(info.Main.Version)}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.revision = s.Value
		}
	}
	doc := document(info)
	b.components = len(doc.Components)
	if b.label = encodeBill(doc); len(b.label) > maxSBOM {
		b.label, b.components = "", 0
	}
	return b
}

// readBuildInfo keeps a file that only looks like an executable from ending
// us: the parsers below debug/ are not made for hostile input.
func readBuildInfo(f *os.File) (info *buildinfo.BuildInfo, err error) {
	defer func() {
		if recover() != nil {
			err = io.ErrUnexpectedEOF
		}
	}()
	return buildinfo.Read(f)
}

func document(info *buildinfo.BuildInfo) sbomDocument {
	doc := sbomDocument{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	doc.Metadata.Component = component("application", info.Path, released(info.Main.Version), info.Main.Path)
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	doc.Components = append(doc.Components, component("library", "stdlib", goVersion, "stdlib"))
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		doc.Components = append(doc.Components, component("library", dep.Path, dep.Version, dep.Path))
	}
	slices.SortFunc(doc.Components, func(a, b sbomComponent) int {
		return strings.Compare(a.Name+"@"+a.Version, b.Name+"@"+b.Version)
	})
	return doc
}

// component makes an entry with a package URL (github.com/package-url). A
// module that was replaced by a directory has none.
func component(kind, name, version, module string) sbomComponent {
	c := sbomComponent{Type: kind, Name: name, Version: version}
	if version != "" && module != "" && !strings.HasPrefix(module, ".") && !strings.HasPrefix(module, "/") {
		c.URL = "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
		c.Ref = c.URL
	}
	return c
}

// released returns version unless it is Go's word for a working tree.
func released(version string) string {
	if version == "(devel)" {
		return ""
	}
	return version
}

func encodeBill(doc sbomDocument) string {
	var out bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &out)
	zip, _ := gzip.NewWriterLevel(text, gzip.BestCompression) // the level is a valid one
	if json.NewEncoder(zip).Encode(doc) != nil || zip.Close() != nil || text.Close() != nil {
		return "" // cannot happen: strings, into memory
	}
	return out.String()
}

// DecodeSBOM returns the JSON in the label LabelSBOM.
func DecodeSBOM(label string) ([]byte, error) {
	zip, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(label)))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(zip, 64<<20))
}
