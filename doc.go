// Package tenure is a client of YDB's coordination service, and of tenure's own server, that believes in a lease
// exactly as long as it is true.
//
// It implements the interfaces of ydb-go-sdk's package coordination ([coordination.Client], [coordination.Session],
// [coordination.Lease]), so that it stands in for db.Coordination() wherever that is used. Connection, discovery,
// credentials and TLS are the SDK's.
//
// # What it promises
//
//   - While [Lease.Valid] says so, the node grants what is held to nobody else, if the rates of the two machines'
//     clocks differ by less than 1 in 100. The contexts of session and lease end before it can; [context.Cause] tells
//     why.
//   - That holds whatever the network or a front server on the way do: only answers of the node itself count, from the
//     moment at which they were asked for. It holds over a sleep of the machine, too, though contexts then end late:
//     at the next call, or within a quarter of the timeout after waking up.
//   - What the server refuses is an error that says so; what can pass is tried again, gently.
//
// # What it does not promise
//
//   - That a goroutine stops when its context ends. Check [Lease.Valid] right before a side effect, and give
//     [Lease.Token] to what you write to, to let that refuse older ones: between a check and a write a process can be
//     suspended for any time.
//
// # What the caller must do
//
// Close sessions and clients. Watch the context of a lease while working under it.
package tenure
