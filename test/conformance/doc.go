// Package conformance tests the server from outside, over real connections. It uses every call of the coordination
// client of ydb-go-sdk. Where the client shows too little, it sends and receives single messages.
//
// The suite tests what users see, and runs on any implementation of coordination.Client. It does not require anything
// that the official client is known to do wrong. For example, that client ignores the status of results, so with it a
// refusal shows only in that nothing has changed. The tests of the wire protocol check statuses, texts and the order of
// messages.
//
// The suite also runs with two servers that share a store, and with clients that are connected to the one that does not
// serve the node.
//
// A client cannot provoke some texts of protocol.md. "Too many sessions already exist" and "Too many semaphores already
// exist" need a million sessions or semaphores. The results of Q2 go to a stream that has lost its session and has
// therefore ended. Those of Z1 and Z2 need users without rights, and this server has no users.
package conformance
