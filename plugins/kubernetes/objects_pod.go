package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	batchac "k8s.io/client-go/applyconfigurations/batch/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/stead-dev/stead/runtime"
)

// user is the one that services run as: nobody in particular, as in
// distroless images.
const user = 65532

// linger is how long a pod with ports goes on after its end was asked for,
// before it is told: endpoints leave every node's rules meanwhile.
const linger = 2 * time.Second

func (p *plan) deployment() *appsac.DeploymentApplyConfiguration {
	spec := appsac.DeploymentSpec().
		WithReplicas(p.replicas).WithRevisionHistoryLimit(0).
		WithSelector(selector(generationLabels(p.spec.ID))).
		WithTemplate(p.pod().WithLabels(allLabels(p.spec.ID)))
	if len(p.spec.Data) > 0 {
		spec.WithStrategy(appsac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType))
	}
	return appsac.Deployment(generationName(p.spec.ID), "").
		WithLabels(allLabels(p.spec.ID)).WithAnnotations(p.annotations()).WithSpec(spec)
}

// jobObject is a Job whose indexes are replicas: each ends for itself. What
// Restart says of limits the ledger sees to, so the Job's own is out of reach.
func (p *plan) jobObject() *batchac.JobApplyConfiguration {
	spec := batchac.JobSpec().
		WithCompletionMode(batchv1.IndexedCompletion).WithCompletions(p.replicas).WithParallelism(p.replicas).
		WithTemplate(p.pod().WithLabels(allLabels(p.spec.ID)))
	if p.restartPolicy() == corev1.RestartPolicyNever {
		spec.WithBackoffLimitPerIndex(0)
	} else {
		spec.WithBackoffLimit(math.MaxInt32)
	}
	return batchac.Job(generationName(p.spec.ID), "").
		WithLabels(allLabels(p.spec.ID)).WithAnnotations(p.annotations()).WithSpec(spec)
}

func (p *plan) annotations() map[string]string {
	return map[string]string{
		annotationHash:     p.hash,
		annotationSpec:     p.record().text(),
		annotationReplicas: strconv.Itoa(int(p.replicas)),
	}
}

func (p *plan) restartPolicy() corev1.RestartPolicy {
	switch {
	case !p.job:
		return corev1.RestartPolicyAlways
	case p.spec.Restart.Policy == runtime.RestartNo, p.spec.Restart.Policy == "":
		return corev1.RestartPolicyNever
	}
	return corev1.RestartPolicyOnFailure
}

// pod passes the Restricted pod security standard. The process namespace is
// the pod's, so that the command is not process 1, to which signals mean
// nothing unless it asks for them: it ends by SIGTERM as it does at home, and
// what it leaves behind is reaped.
func (p *plan) pod() *coreac.PodTemplateSpecApplyConfiguration {
	spec := coreac.PodSpec().
		WithServiceAccountName(ObjectName(p.spec.ID.Service)).WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).WithShareProcessNamespace(true).
		WithRestartPolicy(p.restartPolicy()).
		WithTerminationGracePeriodSeconds(p.grace()).
		WithSecurityContext(p.podSecurity()).
		WithContainers(p.container())
	if p.sealed() {
		spec.WithVolumes(coreac.Volume().WithName("tmp").WithEmptyDir(coreac.EmptyDirVolumeSource()))
	}
	for _, name := range slices.Sorted(maps.Keys(p.spec.Data)) {
		spec.WithVolumes(coreac.Volume().WithName(volumeName(name)).WithPersistentVolumeClaim(
			coreac.PersistentVolumeClaimVolumeSource().WithClaimName(claimName(p.spec.ID.Service, name))))
	}
	if p.spec.Replicas > 1 {
		spec.WithTopologySpreadConstraints(coreac.TopologySpreadConstraint().
			WithMaxSkew(1).WithTopologyKey(corev1.LabelHostname).WithWhenUnsatisfiable(corev1.ScheduleAnyway).
			WithLabelSelector(selector(generationLabels(p.spec.ID))))
	}
	if p.stopSignal() != "" {
		spec.WithOS(coreac.PodOS().WithName(corev1.Linux)) // without which there is no stop signal
	}
	return coreac.PodTemplateSpec().WithSpec(spec)
}

// sealed reports whether the files of the image can only be read, and /tmp is a
// volume. Where an image is made here, upon nothing, all is root's but /tmp and
// the home of its user, and there is nothing to seal; and it takes a kubelet
// 0.3 s longer to start a pod with a volume, of whatever kind (it looks for it
// once more after podAttachAndMountRetryInterval).
func (p *plan) sealed() bool { return p.spec.Package == nil || p.spec.Package.Base != "" }

func (p *plan) podSecurity() *coreac.PodSecurityContextApplyConfiguration {
	security := coreac.PodSecurityContext().
		WithRunAsNonRoot(true).WithRunAsUser(user).WithRunAsGroup(user).
		WithSeccompProfile(coreac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if len(p.spec.Data) > 0 {
		security.WithFSGroup(user)
	}
	return security
}

// grace is from the wish to end a pod to SIGKILL, the hook before SIGTERM
// included. An end without grace is one second, the least there is.
func (p *plan) grace() int64 {
	return max(1, seconds(p.spec.Stop.Grace)) + seconds(p.linger())
}

func (p *plan) linger() time.Duration {
	if len(p.ports) == 0 || p.job {
		return 0
	}
	return linger
}

// seconds rounds up: the cluster counts in no less.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// stopSignal is empty for SIGTERM, which needs no word, and for an image that
// is made here, which says it itself.
func (p *plan) stopSignal() corev1.Signal {
	if n, _ := signalNumber(p.spec.Stop.Signal); n != 15 && p.spec.Package == nil {
		return corev1.Signal(signalName(n))
	}
	return ""
}

func volumeName(data string) string { return dnsLabel("data-"+data, maxLabel) }

func (p *plan) container() *coreac.ContainerApplyConfiguration {
	security := coreac.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithCapabilities(coreac.Capabilities().WithDrop("ALL"))
	c := coreac.Container().WithName(ObjectName(p.spec.ID.Service)).WithImage(p.image).WithSecurityContext(security)
	if p.sealed() {
		security.WithReadOnlyRootFilesystem(true)
		c.WithVolumeMounts(coreac.VolumeMount().WithName("tmp").WithMountPath("/tmp"))
	}
	for _, arg := range p.spec.Command {
		c.WithCommand(literal(arg))
	}
	if dir := p.workingDir(); dir != "" {
		c.WithWorkingDir(dir)
	}
	if p.spec.Package != nil || strings.Contains(p.image, "@") {
		c.WithImagePullPolicy(corev1.PullIfNotPresent) // it never is another one
	}
	if p.spec.Terminal {
		c.WithTTY(true).WithStdin(true)
	}
	for _, name := range slices.Sorted(maps.Keys(p.spec.Data)) {
		c.WithVolumeMounts(coreac.VolumeMount().WithName(volumeName(name)).WithMountPath(p.spec.Data[name]))
	}
	for _, one := range p.ports {
		c.WithPorts(coreac.ContainerPort().WithName(portName(one.Name)).WithContainerPort(one.Container).WithProtocol(corev1.ProtocolTCP))
	}
	p.variables(c)
	p.resources(c)
	p.probes(c)
	p.lifecycle(c)
	return c
}

// literal keeps the cluster from putting variables into text.
func literal(text string) string { return strings.ReplaceAll(text, "$(", "$$(") }

func (p *plan) variables(c *coreac.ContainerApplyConfiguration) {
	if config := p.config(); config != nil {
		c.WithEnvFrom(coreac.EnvFromSource().WithConfigMapRef(coreac.ConfigMapEnvSource().WithName(*config.Name)))
	}
	if secret := p.secret(); secret != nil {
		c.WithEnvFrom(coreac.EnvFromSource().WithSecretRef(coreac.SecretEnvSource().WithName(*secret.Name)))
	}
	_, _, plain := p.environment()
	for i, one := range p.ports {
		number := strconv.Itoa(int(one.Container))
		if i == 0 {
			plain["PORT"] = number
		}
		plain[runtime.PortVariable(one.Name)] = number
	}
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		if value, declared := p.spec.Environment[name]; declared && inConfig.MatchString(name) && value != plain[name] {
			continue // the service's own word on $PORT
		}
		c.WithEnv(coreac.EnvVar().WithName(name).WithValue(literal(plain[name])))
	}
}

func (p *plan) resources(c *coreac.ContainerApplyConfiguration) {
	limits, requests := resourceList(p.spec.Limits), resourceList(p.spec.Requests)
	if len(limits)+len(requests) == 0 {
		return
	}
	r := coreac.ResourceRequirements()
	if len(limits) > 0 {
		r.WithLimits(limits)
	}
	if len(requests) > 0 {
		r.WithRequests(requests)
	}
	c.WithResources(r)
}

func resourceList(l runtime.Limits) corev1.ResourceList {
	list := corev1.ResourceList{}
	if l.Memory > 0 {
		list[corev1.ResourceMemory] = *resource.NewQuantity(l.Memory, resource.BinarySI)
	}
	if l.MilliCPU > 0 {
		list[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(l.MilliCPU), resource.DecimalSI)
	}
	return list
}

func (p *plan) lifecycle(c *coreac.ContainerApplyConfiguration) {
	l := coreac.Lifecycle()
	if wait := seconds(p.linger()); wait > 0 {
		l.WithPreStop(coreac.LifecycleHandler().WithSleep(coreac.SleepAction().WithSeconds(wait)))
	}
	if signal := p.stopSignal(); signal != "" {
		l.WithStopSignal(signal)
	}
	if l.PreStop != nil || l.StopSignal != nil {
		c.WithLifecycle(l)
	}
}

// What a probe is asked by when the spec leaves it open: often until it is
// ready, seldom from then on.
const (
	untilReady = 1
	onceReady  = 10
	forGood    = 10
)

// probes: until the first success ready is asked each second. From then on a
// cluster goes on asking in any case: an endpoint that does not answer has
// nobody to hold its callers.
//
// A kubelet has one pace for that, unless a startup probe comes before, of
// which it hears up to a second late (it waits for its next look at all pods).
// So that is there only where another pace was asked for, where to ask is dear,
// or to keep live quiet. What is asked more often may fail more often, for the
// same time.
func (p *plan) probes(c *coreac.ContainerApplyConfiguration) {
	if ready := p.spec.Ready; ready != nil {
		every, fails := int32(seconds(cmp.Or(ready.Interval, onceReady*time.Second))), failures(ready)
		switch {
		case every == untilReady:
		case ready.Interval > 0, ready.Kind == runtime.ProbeExec, p.spec.Live != nil:
			c.WithStartupProbe(p.probe(ready).WithPeriodSeconds(untilReady).WithFailureThreshold(p.patience()))
		default:
			every, fails = untilReady, fails*every/untilReady
		}
		c.WithReadinessProbe(p.probe(ready).WithPeriodSeconds(every).WithFailureThreshold(fails))
	}
	if live := p.spec.Live; live != nil {
		every := int32(seconds(cmp.Or(live.Interval, forGood*time.Second)))
		c.WithLivenessProbe(p.probe(live).WithPeriodSeconds(every).WithFailureThreshold(failures(live)))
	}
}

// patience is after how many seconds the kubelet itself ends what does not get
// ready, where there is a startup probe: later than the ledger, which says why.
// Elsewhere, while nobody watches, it is left as it is, and not routed to.
func (p *plan) patience() int32 {
	if p.spec.ReadyTimeout <= 0 {
		return math.MaxInt32
	}
	return int32(min(seconds(p.spec.ReadyTimeout)*2+30, math.MaxInt32))
}

func failures(probe *runtime.Probe) int32 { return int32(cmp.Or(probe.Failures, 3)) }

func (p *plan) probe(probe *runtime.Probe) *coreac.ProbeApplyConfiguration {
	to := coreac.Probe().WithTimeoutSeconds(int32(max(1, seconds(probe.Timeout))))
	at := coreac.HTTPGetAction()
	switch probe.Kind {
	case runtime.ProbeHTTP:
		at.WithPath(probe.Path).WithPort(intstrPort(p.port(probe.Port)))
		to.WithHTTPGet(at)
	case runtime.ProbeTCP:
		to.WithTCPSocket(coreac.TCPSocketAction().WithPort(intstrPort(p.port(probe.Port))))
	case runtime.ProbeGRPC:
		ask := coreac.GRPCAction().WithPort(p.port(probe.Port))
		if probe.Service != "" {
			ask.WithService(probe.Service)
		}
		to.WithGRPC(ask)
	case runtime.ProbeExec:
		to.WithExec(coreac.ExecAction().WithCommand(probe.Command...))
	default:
		panic(fmt.Sprintf("kubernetes: a %s probe was let through", probe.Kind)) // cannot happen: validate refuses it
	}
	return to
}
