package manifest

import (
	"math"
	"math/big"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// The words are those of Kubernetes: Mi is 1024 x 1024, M a million. Compose's
// m, which is Mi there and a thousandth here, is refused.
var memorySize = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([KMGT]i?)?B?$`)

var cpuCount = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

const (
	leastMemory = 1 << 20 // less does not hold a process
	mostMemory  = 1 << 50
	mostCPUs    = 10_000
)

// readLimits reads what an instance may use at most. Whether that can be kept
// is for the runtime to say, which refuses what it cannot.
func (s *draft) readLimits() {
	f, ok := s.keys["limits"]
	if !ok {
		return
	}
	s.spec.Limits = s.amounts(f.value, "limits", "memory", "cpus", "pids")
}

// readRequests reads what is set aside for an instance, which takes somebody
// who keeps account: at home it is only checked.
func (s *draft) readRequests() {
	f, ok := s.keys["requests"]
	if !ok {
		return
	}
	requests := s.amounts(f.value, "requests", "memory", "cpus")
	for what, over := range map[string]bool{
		"memory": s.spec.Limits.Memory > 0 && requests.Memory > s.spec.Limits.Memory,
		"cpus":   s.spec.Limits.MilliCPU > 0 && requests.MilliCPU > s.spec.Limits.MilliCPU,
	} {
		if over {
			s.wrong(f.value, "", "requests: %s is more than the limit", what)
		}
	}
	if s.target != nil {
		s.spec.Requests = requests
	}
}

func (s *draft) amounts(n *yaml.Node, what string, names ...string) runtime.Limits {
	keys := s.known(n, what, names, map[string]string{"cpu": "write cpus"})
	var l runtime.Limits
	if f, ok := keys["memory"]; ok {
		l.Memory = s.memory(f)
	}
	if f, ok := keys["cpus"]; ok {
		l.MilliCPU = s.milliCPU(f)
	}
	if f, ok := keys["pids"]; ok {
		l.PIDs = s.whole(f, 1, 1<<22) // the kernel's PID_MAX_LIMIT
	}
	return l
}

// memory returns a number of bytes.
func (s *draft) memory(f field) int64 {
	text, ok := s.value(f.value, f.key.Value)
	if !ok {
		return 0
	}
	match := memorySize.FindStringSubmatch(text)
	if match == nil {
		hint := "write it like 512Mi"
		if upper := strings.ToUpper(text); upper != text && memorySize.MatchString(upper) {
			hint = "write it like 512Mi (1024 x 1024 bytes) or 512M (a million)"
		}
		s.wrong(f.value, hint, "memory: %q is not understood", text)
		return 0
	}
	amount, _ := new(big.Float).SetString(match[1])
	bytes, _ := amount.Mul(amount, big.NewFloat(unit(match[2]))).Float64()
	switch {
	case bytes < leastMemory:
		s.wrong(f.value, "write it like 512Mi", "memory: %s is less than 1Mi, which no process can live on", text)
		return 0
	case bytes > mostMemory:
		s.wrong(f.value, "", "memory: %s is more than 1024Ti", text)
		return 0
	}
	return int64(bytes)
}

// unit is what K, Mi and so on stand for.
func unit(name string) float64 {
	if name == "" {
		return 1
	}
	step := 1000.0
	if strings.HasSuffix(name, "i") {
		step = 1024
	}
	return math.Pow(step, float64(strings.Index("KMGT", name[:1])+1))
}

// milliCPU returns thousandths of a core.
func (s *draft) milliCPU(f field) int {
	text, ok := s.value(f.value, f.key.Value)
	if !ok {
		return 0
	}
	if !cpuCount.MatchString(text) {
		s.wrong(f.value, "write it like 0.5", "cpus: %q is not understood", text)
		return 0
	}
	amount, _ := new(big.Float).SetString(text)
	cores, _ := amount.Float64()
	if cores < 0.01 || cores > mostCPUs {
		s.wrong(f.value, "", "cpus must be from 0.01 to %d, not %s", mostCPUs, text)
		return 0
	}
	return int(math.Round(cores * 1000))
}
