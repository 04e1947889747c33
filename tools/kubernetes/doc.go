// Package kubernetes checks the manifests in deploy/kubernetes. It is a module of its own, because the types of
// Kubernetes are large.
package kubernetes
