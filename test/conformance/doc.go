// Package conformance drives the server from outside, over real connections: through every call of the coordination
// client of ydb-go-sdk and, where that shows too little, message by message.
//
// What users see is in the suite, which any implementation of coordination.Client can run. It asks for nothing that the
// official client is known to do wrong: that one does not look at the status of results, for example, so that there a
// refusal shows only in that nothing has changed. Statuses, texts and the order of messages are tested on the wire.
//
// Of the texts in protocol.md, these can't be seen from outside: "Too many sessions already exist" and "Too many
// semaphores already exist" would take a million of either; results of Q2 come only to a stream that has lost its
// session and so has ended; and those of Z1 and Z2 would take users without rights, which this server does not have.
package conformance
