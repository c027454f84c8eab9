package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	policyac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/stead-dev/stead/runtime"
)

// once is the ID of a service as a whole, for objects that outlive generations.
func once(id runtime.ID) runtime.ID {
	id.Number = 0
	return id
}

func (p *plan) serviceAccount() *coreac.ServiceAccountApplyConfiguration {
	return coreac.ServiceAccount(ObjectName(p.spec.ID.Service), "").
		WithLabels(allLabels(once(p.spec.ID))).WithAutomountServiceAccountToken(false)
}

func (p *plan) disruptionBudget() *policyac.PodDisruptionBudgetApplyConfiguration {
	return policyac.PodDisruptionBudget(ObjectName(p.spec.ID.Service), "").
		WithLabels(allLabels(once(p.spec.ID))).
		WithSpec(policyac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow). // what is not ready holds up no node
			WithSelector(selector(serviceLabels(p.spec.ID))))
}

// claimSize is what a claim asks for; `kubernetes:` says another.
const claimSize = "1Gi"

func claimName(service, data string) string {
	return dnsLabel(ObjectName(service)+"-"+data, maxLabel)
}

func (p *plan) claim(data string) *coreac.PersistentVolumeClaimApplyConfiguration {
	return coreac.PersistentVolumeClaim(claimName(p.spec.ID.Service, data), "").
		WithLabels(allLabels(once(p.spec.ID))).
		WithSpec(coreac.PersistentVolumeClaimSpec().
			WithAccessModes(corev1.ReadWriteOnce).
			WithResources(coreac.VolumeResourceRequirements().
				WithRequests(corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(claimSize)})))
}

// service routes to the generation of id, whose ports it has.
func service(id runtime.ID, ports []port) *coreac.ServiceApplyConfiguration {
	spec := coreac.ServiceSpec().WithSelector(generationLabels(id))
	for _, one := range ports {
		spec.WithPorts(coreac.ServicePort().
			WithName(portName(one.Name)).WithPort(one.Published).WithProtocol(corev1.ProtocolTCP).
			WithTargetPort(intstr.FromInt32(one.Container)))
	}
	return coreac.Service(ObjectName(id.Service), "").WithLabels(allLabels(once(id))).WithSpec(spec)
}

// inConfig are the names of variables that ConfigMaps and Secrets can have as
// keys. Others are written into the pod.
var inConfig = regexp.MustCompile(`^[A-Za-z0-9_][-._A-Za-z0-9]*$`)

// environment sorts the declared variables by where they are written.
func (p *plan) environment() (config, secret, plain map[string]string) {
	config, secret, plain = map[string]string{}, map[string]string{}, map[string]string{}
	for name, value := range p.spec.Environment {
		switch {
		case !inConfig.MatchString(name):
			plain[name] = value
		case slices.Contains(p.spec.Secrets, name):
			secret[name] = value
		default:
			config[name] = value
		}
	}
	return config, secret, plain
}

func (p *plan) config() *coreac.ConfigMapApplyConfiguration {
	config, _, _ := p.environment()
	if len(config) == 0 {
		return nil
	}
	return coreac.ConfigMap(p.hashedName(config), "").WithLabels(allLabels(once(p.spec.ID))).WithImmutable(true).WithData(config)
}

func (p *plan) secret() *coreac.SecretApplyConfiguration {
	_, secret, _ := p.environment()
	if len(secret) == 0 {
		return nil
	}
	data := map[string][]byte{}
	for name, value := range secret {
		data[name] = []byte(value)
	}
	return coreac.Secret(p.hashedName(secret), "").WithLabels(allLabels(once(p.spec.ID))).
		WithType(corev1.SecretTypeOpaque).WithImmutable(true).WithData(data)
}

// hashedName is another one for every other content, so that what a generation
// runs with never changes.
func (p *plan) hashedName(data map[string]string) string {
	text, _ := json.Marshal(data) // strings; keys come sorted
	sum := sha256.Sum256(text)
	return ObjectName(p.spec.ID.Service) + "-" + hex.EncodeToString(sum[:5])
}
