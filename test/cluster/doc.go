// Package cluster tests what servers keep in etcd, and several servers that share it, with real processes. It is a
// module of its own, because etcd's server depends on many modules.
package cluster
