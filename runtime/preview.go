package runtime

// PreviewRequest asks what the runtime would do, and changes nothing.
type PreviewRequest struct {
	Environment string
	Project     string
	Specs       []Spec // of all services that there are to be; ID.Number 0: the next one
	Kind        PreviewKind
}

// PreviewKind says what is to be shown.
type PreviewKind string

// The kinds of preview.
const (
	PreviewRender PreviewKind = "render" // the objects of Specs, as text; at most it is asked which platforms images are for
	PreviewOpen   PreviewKind = "open"   // as render, with the values of secrets: to be applied by others
	PreviewDiff   PreviewKind = "diff"   // how they differ from what is there, by the word of whoever keeps it
	PreviewRemove PreviewKind = "remove" // what is there of the project and would be removed; Specs are not used
	PreviewImage  PreviewKind = "image"  // the images of Specs, made and brought to where they are run from: the one that does change something
)

// Preview is one object.
type Preview struct {
	Kind    string // "Deployment", "Image"
	Name    string
	Service string // that it belongs to; empty: the project's
	Action  string // "create", "change", "remove", "none"; empty for render, open
	Text    string // render, open: the object as YAML; diff: lines with + and -; image: the digest
}
