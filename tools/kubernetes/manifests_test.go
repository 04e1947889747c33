package kubernetes

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const dir = "../../deploy/kubernetes/"

// read decodes the objects of a file into the values, in their order. It refuses unknown fields and wrong types.
func read(t *testing.T, name string, into ...any) {
	t.Helper()
	text, err := os.ReadFile(dir + name)
	if err != nil {
		t.Fatal(err)
	}
	objects := bytes.Split(text, []byte("\n---\n"))
	if len(objects) != len(into) {
		t.Fatalf("%s has %d objects, not %d", name, len(objects), len(into))
	}
	for i, object := range objects {
		if err := yaml.UnmarshalStrict(object, into[i]); err != nil {
			t.Fatalf("%s, object %d: %v", name, i+1, err)
		}
	}
}

// restricted fails unless a pod is one that the Pod Security Standard "restricted" accepts, and has no more than it
// needs.
func restricted(t *testing.T, pod core.PodSpec) {
	t.Helper()
	s, c := pod.SecurityContext, pod.Containers[0]
	switch {
	case s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil ||
		s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
		t.Error("the pod may run as root, or with any system call")
	case c.SecurityContext == nil || c.SecurityContext.AllowPrivilegeEscalation == nil ||
		*c.SecurityContext.AllowPrivilegeEscalation || c.SecurityContext.Capabilities == nil ||
		len(c.SecurityContext.Capabilities.Drop) != 1 || c.SecurityContext.Capabilities.Drop[0] != "ALL":
		t.Error("the container may have capabilities")
	case pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken:
		t.Error("the pod gets a token of the cluster")
	}
	mounted := map[string]bool{}
	for _, v := range pod.Volumes {
		mounted[v.Name] = true
		if v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode&0o337 != 0) {
			t.Errorf("other users can use the secret %s", v.Name)
		}
	}
	for _, m := range c.VolumeMounts {
		if !mounted[m.Name] && m.Name != "data" {
			t.Errorf("there is no volume %s", m.Name)
		}
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	var service core.Service
	var set apps.StatefulSet
	read(t, "server.yaml", &service, &set)
	pod := set.Spec.Template
	restricted(t, pod.Spec)
	for _, selector := range []map[string]string{service.Spec.Selector, set.Spec.Selector.MatchLabels} {
		for name, value := range selector {
			if pod.Labels[name] != value {
				t.Errorf("a selector asks for %s=%s, which the pod does not have", name, value)
			}
		}
	}
	if *set.Spec.Replicas != 1 || set.Spec.ServiceName != service.Name {
		t.Error("there is more than one server, or it has another name than the service")
	}
	c := pod.Spec.Containers[0]
	port := c.Ports[0].Name
	if service.Spec.Ports[0].TargetPort.StrVal != port {
		t.Error("a port has another name")
	}
	if probe := c.LivenessProbe.Exec; probe == nil || !slices.Contains(probe.Command, "--live") {
		t.Error("the liveness probe does not ask whether the server is alive")
	}
	if set.Spec.VolumeClaimTemplates[0].Name != c.VolumeMounts[0].Name {
		t.Error("the claim is not mounted")
	}
	for _, v := range c.Env {
		if v.Name != "TENURE_DRAIN" {
			continue
		}
		drain, err := time.ParseDuration(v.Value)
		grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
		if err != nil || grace < drain+5*time.Second {
			t.Errorf("the pod is killed after %v, but drains for %v (%v)", grace, drain, err)
		}
	}
}

func TestJob(t *testing.T) {
	t.Parallel()
	var job batch.CronJob
	read(t, "job.yaml", &job)
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	restricted(t, pod)
	line := strings.Join(pod.Containers[0].Command, " ")
	if !strings.HasPrefix(line, "/usr/bin/lock ") || !strings.Contains(line, " -- ") {
		t.Errorf("the command %q is not under a lock", line)
	}
}

// Kustomize's own types are not worth a dependency.
func TestKustomization(t *testing.T) {
	t.Parallel()
	var k struct {
		APIVersion string              `json:"apiVersion"`
		Kind       string              `json:"kind"`
		Resources  []string            `json:"resources"`
		Images     []map[string]string `json:"images"`
	}
	read(t, "kustomization.yaml", &k)
	for _, name := range k.Resources {
		if _, err := os.Stat(dir + name); err != nil {
			t.Error(err)
		}
	}
}
