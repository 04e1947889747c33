// Package clustertest starts several servers over an etcd cluster, for tests and benchmarks. All of them are processes
// of this machine, and each connection between them passes a relay that can be cut, slowed down or made a black hole.
//
// The etcd is that of TENURE_ETCD_PROGRAM, or is built otherwise, which takes minutes the first time.
package clustertest
