package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The rules of the Compose specification for what several files say of one
// service: mappings are merged key by key, lists are joined, and anything
// else is replaced; a command is replaced whole, and lists of what is a
// mapping too are merged as such. The tag !reset removes what was there, and
// !override replaces it whatever it is.

// replacedWhole are keys of a service whose parts make no sense mixed.
var replacedWhole = map[string]bool{"build": true, "command": true, "ready": true, "live": true, "success_exit_codes": true}

// mergeManifest returns base with what over says of the same services.
func (d *document) mergeManifest(base, over *yaml.Node) *yaml.Node {
	return d.mergeMaps(base, over, func(key string, a, b *yaml.Node) *yaml.Node {
		switch {
		case key != "services":
			return d.merge2(a, b)
		case isNull(a) || isNull(b) || a.Kind != yaml.MappingNode || b.Kind != yaml.MappingNode:
			return b
		}
		return d.mergeMaps(a, b, func(_ string, a, b *yaml.Node) *yaml.Node { return d.mergeService(a, b) })
	})
}

func (d *document) mergeService(base, over *yaml.Node) *yaml.Node {
	if base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	return d.mergeMaps(base, over, func(key string, a, b *yaml.Node) *yaml.Node {
		switch {
		case replacedWhole[key]:
			return b
		case key == "environment", key == "depends_on", key == "ports":
			return d.merge2(asMapping(key, a), asMapping(key, b))
		case key == "env_file", key == "profiles":
			return d.merge2(asList(a), asList(b))
		}
		return d.merge2(a, b)
	})
}

// merge2 merges two values that no rule of their key is about.
func (d *document) merge2(a, b *yaml.Node) *yaml.Node {
	switch {
	case a.Kind == yaml.MappingNode && b.Kind == yaml.MappingNode:
		return d.mergeMaps(a, b, func(_ string, a, b *yaml.Node) *yaml.Node { return d.merge2(a, b) })
	case a.Kind == yaml.SequenceNode && b.Kind == yaml.SequenceNode:
		return joinLists(a, b)
	}
	return b
}

// mergeMaps merges two mappings; both says what becomes of a key of both.
func (d *document) mergeMaps(a, b *yaml.Node, both func(key string, a, b *yaml.Node) *yaml.Node) *yaml.Node {
	fields := d.fields(a, "what is overridden")
	at := map[string]int{}
	for i, f := range fields {
		at[f.key.Value] = i
	}
	for _, f := range d.fields(b, "an override") {
		i, here := at[f.key.Value]
		switch {
		case f.value.Tag == "!reset":
			if here {
				fields[i].key = nil
			}
			continue
		case f.value.Tag == "!override":
			f.value = untagged(f.value)
		case here:
			f.value = both(f.key.Value, fields[i].value, f.value)
		}
		if here {
			fields[i] = f
		} else {
			fields = append(fields, f)
		}
	}
	return mapping(a, slices.DeleteFunc(fields, func(f field) bool { return f.key == nil }))
}

func untagged(n *yaml.Node) *yaml.Node {
	out := *n
	switch {
	case n.Kind == yaml.MappingNode:
		out.Tag = "!!map"
	case n.Kind == yaml.SequenceNode:
		out.Tag = "!!seq"
	case n.Value == "" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0:
		out.Tag = "!!null"
	default:
		out.Tag = "!!str"
	}
	return &out
}

// joinLists appends what is not in a list yet.
func joinLists(a, b *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: b.Line, Column: b.Column}
	texts := map[string]bool{}
	for _, list := range []*yaml.Node{a, b} {
		for _, one := range list.Content {
			one = deref(one)
			if one.Kind == yaml.ScalarNode && list == b && texts[one.Value] {
				continue
			}
			texts[one.Value] = one.Kind == yaml.ScalarNode
			out.Content = append(out.Content, one)
		}
	}
	return out
}

// asList returns a single value as a list of it.
func asList(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.SequenceNode || isNull(n) {
		return n
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Column: n.Column, Content: []*yaml.Node{n}}
}

// asMapping returns the list form of environment, depends_on or ports as the
// mapping that it stands for. What is wrong stays as it is, and is told of
// where it is read.
func asMapping(key string, n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode || isNull(n) {
		return n
	}
	list := asList(n).Content
	if key == "ports" && len(list) != 1 {
		return n
	}
	var fields []field
	for _, one := range list {
		one = deref(one)
		if one.Kind != yaml.ScalarNode {
			return n
		}
		name, value := *one, *one
		switch text, rest, set := strings.Cut(one.Value, "="); {
		case key == "ports":
			name.Value, name.Tag = "http", "!!str"
		case key == "environment" && set:
			name.Value, value.Value, value.Tag = text, rest, "!!str"
		default:
			value.Value, value.Tag = "", "!!null"
		}
		fields = append(fields, field{&name, &value})
	}
	return mapping(n, fields)
}
