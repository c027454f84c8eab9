package manifest

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// composeFiles are the names that Compose looks for, in its order.
var composeFiles = []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}

// A compose is a compose file while it is read. Findings in it are nobody's
// concern here.
type compose struct {
	*document
	active  []string       // services that can run without a container
	numbers map[string]int // how often a number is published, or listened on, by those
}

// proposeCompose reads a compose file. What it says of images is lost, since
// services are processes here: a service without a command is named in a
// comment, and so is what others need it for.
func proposeCompose(dir string) source {
	for _, name := range composeFiles {
		path := filepath.Join(dir, name)
		text, err := readText(path)
		if err != nil {
			continue
		}
		c := compose{document: newDocument(path, text, Request{}), numbers: map[string]int{}}
		s := source{name: name, explicit: true}
		services := c.services(c.root())
		for _, f := range services {
			if _, ok := c.argv(f.value); ok {
				c.active = append(c.active, f.key.Value)
				c.count(f.value)
			}
		}
		for _, f := range services {
			s.services = append(s.services, c.propose(f))
		}
		return s
	}
	return source{}
}

// at is the value of a key, nil when there is none.
func (c compose) at(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for _, f := range c.fields(n, "a mapping") {
		if f.key.Value == key {
			return f.value
		}
	}
	return nil
}

// list is a list, or a single text as one.
func (c compose) list(n *yaml.Node) []*yaml.Node {
	if n == nil || isNull(n) {
		return nil
	}
	return c.nodesOf(n)
}

// argv is the command as the lines of a service, with its entrypoint.
func (c compose) argv(service *yaml.Node) ([]string, bool) {
	entrypoint, cmd := c.at(service, "entrypoint"), c.at(service, "command")
	nodes := slices.Concat(c.list(entrypoint), c.list(cmd))
	if len(nodes) == 0 {
		return nil, false
	}
	if len(nodes) == 1 && nodes[0].Kind == yaml.ScalarNode {
		return command(nodes[0].Value), nodes[0].Value != ""
	}
	var words []string
	for _, n := range nodes {
		if n == entrypoint || n == cmd { // a text beside a list
			words = append(words, strings.Fields(n.Value)...)
		} else {
			words = append(words, n.Value)
		}
	}
	for i, word := range words {
		words[i] = scalar(word)
	}
	return []string{"command: [" + strings.Join(words, ", ") + "]"}, true
}

func (c compose) propose(f field) proposed {
	one := proposed{name: nameOf(f.key.Value)}
	lines, ok := c.argv(f.value)
	if image := c.at(f.value, "image"); image != nil {
		one.notes = append(one.notes, "its image: "+image.Value)
	}
	if !ok {
		one.off = "write a command that runs it on this machine; an image alone cannot"
		return one
	}
	one.lines = append(lines, c.ports(c.at(f.value, "ports"))...)
	one.lines = append(one.lines, c.environment(c.at(f.value, "environment"))...)
	var files []string
	for _, n := range c.list(c.at(f.value, "env_file")) {
		if n.Kind == yaml.ScalarNode {
			files = append(files, scalar(n.Value))
		}
	}
	if len(files) > 0 {
		one.lines = append(one.lines, "env_file: ["+strings.Join(files, ", ")+"]")
	}
	needs, without := c.needs(c.at(f.value, "depends_on"))
	if len(without) > 0 {
		one.notes = append(one.notes, "it also depends on "+strings.Join(without, ", ")+", which is left out")
	}
	if len(needs) > 0 {
		one.lines = append(one.lines, "depends_on: {"+strings.Join(needs, ", ")+"}")
	}
	return one
}

// needs are the services that one depends on, and those that are left out.
func (c compose) needs(n *yaml.Node) (needs, without []string) {
	add := func(name string, condition *yaml.Node) {
		switch {
		case !slices.Contains(c.active, name):
			without = append(without, name)
		case condition != nil && slices.Contains(conditions, condition.Value):
			needs = append(needs, nameOf(name)+": {condition: "+condition.Value+"}")
		default:
			needs = append(needs, nameOf(name)+": {}")
		}
	}
	if n != nil && n.Kind == yaml.MappingNode {
		for _, f := range c.fields(n, "depends_on") {
			add(f.key.Value, c.at(f.value, "condition"))
		}
		return needs, without
	}
	for _, one := range c.list(n) {
		add(one.Value, nil)
	}
	return needs, without
}

// environment is a list, or a mapping; its ${VAR} are the manifest's too.
func (c compose) environment(n *yaml.Node) []string {
	lines := []string{"environment:"}
	if n != nil && n.Kind == yaml.MappingNode {
		for _, f := range c.fields(n, "environment") {
			value := scalar(f.value.Value)
			if isNull(f.value) {
				value = ""
			}
			lines = append(lines, "  "+strings.TrimSpace(scalar(f.key.Value)+": "+value))
		}
	} else {
		for _, one := range c.list(n) {
			lines = append(lines, "  - "+scalar(one.Value))
		}
	}
	if len(lines) == 1 {
		return nil
	}
	return lines
}

// published are a port's two numbers; the first is empty for one that Compose
// chooses.
func (c compose) published(n *yaml.Node) (published, target string, ok bool) {
	if n.Kind == yaml.MappingNode {
		published, target = nodeText(c.at(n, "published")), nodeText(c.at(n, "target"))
	} else {
		short, _, _ := strings.Cut(n.Value, "/") // 80/tcp
		parts := strings.Split(short, ":")       // address, published, target
		if target = parts[len(parts)-1]; len(parts) > 1 {
			published = parts[len(parts)-2]
		}
	}
	return published, target, isPort(target) && (published == "" || isPort(published))
}

func isPort(text string) bool {
	number, err := strconv.ParseUint(text, 10, 16)
	return err == nil && number > 0
}

// count notes what numbers a service takes on this machine, where containers
// had a network each.
func (c compose) count(service *yaml.Node) {
	for _, one := range c.list(c.at(service, "ports")) {
		published, target, ok := c.published(one)
		if !ok {
			continue
		}
		c.numbers[target]++
		if published != target && published != "" {
			c.numbers[published]++
		}
	}
}

// ports are those of a service: "8080:3000" means the same here, and one that
// is the same on both sides is the service's own.
func (c compose) ports(n *yaml.Node) []string {
	var ports []string
	for i, one := range c.list(n) {
		published, target, ok := c.published(one)
		name := "http"
		if i > 0 {
			name = "port-" + target
		}
		switch {
		case !ok:
			continue
		case c.numbers[target] > 1 && published != "": // two cannot have it: they have to listen on $PORT
			ports = append(ports, name+": "+published)
		case c.numbers[target] > 1:
			ports = append(ports, name+": auto")
		case published == target:
			ports = append(ports, name+": {port: "+target+", mode: self}")
		case published == "":
			ports = append(ports, name+`: "auto:`+target+`"`)
		default:
			ports = append(ports, name+": "+scalar(published+":"+target))
		}
	}
	if len(ports) == 0 {
		return nil
	}
	return []string{"ports: {" + strings.Join(ports, ", ") + "} # a number alone is for one that listens on $PORT"}
}

func nodeText(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}
