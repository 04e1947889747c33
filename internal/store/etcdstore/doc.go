// Package etcdstore stores records in an etcd cluster, for several servers that share it. Which server may write to a
// space, and how, is decided by package ownership. This package carries out its transactions.
//
// The store waits while etcd cannot be reached or does not accept anything, and sends a transaction again until its
// outcome is known. Only a claim of another server, the end of a call's context and Close end that wait.
//
// The following facts about etcd 3.7 and its client matter here.
//
//   - The client does not repeat a transaction that may have reached etcd. It repeats one only if there was no
//     connection, or if etcd has refused its authentication.
//   - Any error may mean that the transaction was carried out, also "database space exceeded": the transaction that
//     exceeds the space is carried out, and then reported to have failed.
//   - A transaction without any operation is not linearizable, even if it has comparisons.
//   - A range that is sorted reads all its keys, also if it has a limit.
package etcdstore
