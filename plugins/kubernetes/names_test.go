package kubernetes

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stead-dev/stead/runtime"
)

func TestNames(t *testing.T) {
	names := []string{
		"web", "Web", "WEB", "web_1", "web.1", "web-1", "-web", "web-", "1web", "", "_", "ü", "日本", "a/b", strings.Repeat("x", 300),
		strings.Repeat("x", 299) + "y", strings.Repeat("-", 70), "web--x", "s", "42",
	}
	objects, values, ports := map[string]string{}, map[string]string{}, map[string]string{}
	unique := func(in map[string]string, made, name string) {
		if other, ok := in[made]; ok {
			t.Errorf("%q and %q are both %q", other, name, made)
		}
		in[made] = name
	}
	for _, name := range names {
		id := runtime.ID{Service: name, Number: 1234567890}
		if bad := validation.IsDNS1035Label(ObjectName(name)); bad != nil {
			t.Errorf("object %q: %v", ObjectName(name), bad)
		}
		if bad := validation.IsDNS1123Label(generationName(id) + "-0"); bad != nil {
			t.Errorf("generation %q: %v", generationName(id), bad)
		}
		if bad := validation.IsValidLabelValue(labelValue(name)); bad != nil {
			t.Errorf("label %q: %v", labelValue(name), bad)
		}
		if bad := validation.IsValidPortName(portName(name)); bad != nil {
			t.Errorf("port %q: %v", portName(name), bad)
		}
		unique(objects, ObjectName(name), name)
		unique(values, labelValue(name), name)
		unique(ports, portName(name), name)
	}
	if ObjectName("catalog") != "catalog" || labelValue("shop-a1b2") != "shop-a1b2" || portName("http") != "http" {
		t.Error("a valid name was changed")
	}
}
