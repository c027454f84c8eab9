package manifest

import _ "embed"

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (draft 2020-12) of a manifest, for editors.
// It is looser than Load where a schema cannot say what is meant.
func Schema() string { return schema }
