package manifest

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSchemaKnowsEveryKey compares the schema's properties with the parser's
// keys, in both directions.
func TestSchemaKnowsEveryKey(t *testing.T) {
	type object struct{ Properties map[string]json.RawMessage }
	var schema struct {
		object
		Defs struct{ Service object } `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(Schema()), &schema); err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2][]string{
		"manifest": {projectKeys, slices.Collect(maps.Keys(schema.Properties))},
		"service":  {serviceKeys, slices.Collect(maps.Keys(schema.Defs.Service.Properties))},
	} {
		parser, schema := slices.Sorted(slices.Values(pair[0])), slices.Sorted(slices.Values(pair[1]))
		if diff := cmp.Diff(parser, schema); diff != "" {
			t.Errorf("keys of a %s (-parser +schema):\n%s", what, diff)
		}
	}
}
