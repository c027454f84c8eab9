package manifest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// A field is one entry of a mapping.
type field struct{ key, value *yaml.Node }

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// fields returns the entries of a mapping in the order written, those that
// come by merge keys (<<) last. Nothing at all is an empty mapping.
func (d *document) fields(n *yaml.Node, what string) []field {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.wrong(n, "", "%s must be a mapping, not %s", what, kind(n))
		return nil
	}
	var out, merged []field
	at := map[string]*yaml.Node{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), deref(n.Content[i+1])
		switch first := at[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.wrong(key, "", "a key of %s must be a word, not %s", what, kind(key))
		case key.Tag == "!!merge":
			merged = append(merged, d.merge(value, what)...)
		case first != nil:
			d.wrong(key, "remove one of them", "%q is here twice: first at line %d", key.Value, first.Line-d.part(first.Line).first)
		default:
			at[key.Value] = key
			out = append(out, field{key, value})
		}
	}
	for _, f := range merged {
		if at[f.key.Value] == nil {
			at[f.key.Value] = f.key
			out = append(out, f)
		}
	}
	return out
}

// merge returns what << brings: a mapping, or a list of them, the first of
// which wins.
func (d *document) merge(n *yaml.Node, what string) []field {
	if n.Kind != yaml.SequenceNode {
		return d.fields(n, "what << merges into "+what)
	}
	var out []field
	for _, one := range n.Content {
		out = append(out, d.fields(deref(one), "what << merges into "+what)...)
	}
	return out
}

// items returns the elements of a list.
func (d *document) items(n *yaml.Node) []*yaml.Node {
	out := make([]*yaml.Node, len(n.Content))
	for i, one := range n.Content {
		out[i] = deref(one)
	}
	return out
}

// value returns the text of a scalar that is not empty, with ${VAR} replaced.
func (d *document) value(n *yaml.Node, what string) (string, bool) {
	text, ok := d.text(n, what)
	if ok && text == "" {
		d.wrong(n, "", "%s is empty", what)
		return "", false
	}
	return text, ok
}

// text returns the text of a scalar as it is written (so `no` is the word no,
// and 0x10 stays 0x10) with ${VAR} replaced. Nothing at all is "".
func (d *document) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, "", "%s must be a text, not %s", what, kind(n))
		return "", false
	}
	if isNull(n) {
		return "", true
	}
	text, ok := d.interpolate(n)
	if strings.ContainsRune(text, 0) {
		d.wrong(n, "", "%s contains a NUL character", what)
		return "", false
	}
	return text, ok
}

// texts returns a list of texts; a single one is a list of one.
func (d *document) texts(n *yaml.Node, what string) (out []string, ok bool) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = d.items(n)
	}
	ok = true
	for _, one := range nodes {
		text, good := d.value(one, what)
		out, ok = append(out, text), ok && good
	}
	return out, ok
}

func (d *document) boolean(f field) bool {
	text, ok := d.value(f.value, f.key.Value)
	if ok && text != "true" && text != "false" {
		d.wrong(f.value, "write true or false", "%s must be true or false, not %q", f.key.Value, text)
	}
	return text == "true"
}

// whole returns a whole number from low to high, else low.
func (d *document) whole(f field, low, high int) int {
	text, ok := d.value(f.value, f.key.Value)
	if !ok {
		return low
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		d.wrong(f.value, "", "%s must be a whole number from %d to %d, not %q", f.key.Value, low, high, text)
		return low
	}
	return n
}

// duration returns a duration of at least low, else low.
func (d *document) duration(f field, low time.Duration) time.Duration {
	text, ok := d.value(f.value, f.key.Value)
	if !ok {
		return low
	}
	t, err := time.ParseDuration(text)
	switch {
	case err != nil:
		d.wrong(f.value, "write a number with its unit: 100ms, 10s, 5m", "%s must be a duration, not %q", f.key.Value, text)
		return low
	case t < low:
		d.wrong(f.value, "", "%s must be at least %s, not %s", f.key.Value, low, text)
		return low
	}
	return t
}

// known returns the entries of a mapping by key. Each must be one of names,
// but for x-…, which is everybody's own. other says why a key that is not
// there is refused.
func (d *document) known(n *yaml.Node, what string, names []string, other map[string]string) map[string]field {
	out := map[string]field{}
	for _, f := range d.fields(n, what) {
		key := f.key.Value
		switch {
		case slices.Contains(names, key):
			out[key] = f
		case strings.HasPrefix(key, "x-"):
		case other[key] != "":
			d.wrong(f.key, other[key], "%q is not a key of %s", key, what)
		default:
			d.wrong(f.key, suggest(key, names), "unknown key %q in %s", key, what)
		}
	}
	return out
}

const maxName = 63 // a DNS label: names become host names in the cloud

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// name checks the name of a project, service or profile.
func (d *document) name(n *yaml.Node, what, name string) bool {
	if !validName.MatchString(name) {
		d.wrong(n, "use a-z, 0-9 and . _ - after the first, at most 63", "%q is not a valid name for %s", name, what)
		return false
	}
	return true
}

func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return "a single value"
}
