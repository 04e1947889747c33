// Package cluster tests what servers keep in etcd with real members. It is a module of its own, because etcd's server
// depends on many modules. The tests run the etcd that TENURE_ETCD_PROGRAM names, and otherwise build it, which takes minutes
// the first time.
package cluster
