// Package ownership implements the ownership of a coordination node in an etcd cluster as a pure state machine. A Core
// is one server's claim to one space. It decides which transactions to send to etcd, and what their results mean. It
// has no goroutines, reads no clock and does no I/O, so the same calls always have the same effects.
//
// The owner's key of a space says which server owns it. Its modification revision is the fence: it changes with each
// claim, and every transaction that writes to the space compares it, and the value. A server that has lost the space
// can therefore write nothing, and needs no clock to find out. A take-over is safe at any instant, even from a server
// that works.
//
// The following rules make this safe, also if etcd carries out a transaction long after the server has given up waiting
// for the result, and after it has carried out a repetition of it.
//
//	O1 A claim is a transaction that compares the owner's key with what was read before. A server loads a space, and
//	   writes to it, only after a claim by the same Core, so that transactions of an earlier Core can no longer write.
//	O2 A batch is durable when its journal entry is complete. Each entry has a number that no entry had before. All
//	   parts of an entry but the last are without effect until the last is there. An entry that will never be complete
//	   keeps its number.
//	O3 If the outcome of a transaction is unknown, the Core sends the same transaction again, and nothing else that
//	   depends on it. The Else branch reads what distinguishes an earlier attempt from another owner.
//	O4 A transaction that may be carried out a second time, after others, changes nothing then. A journal entry is
//	   ignored if its number is not above the mark. A step of a fold compares the mark, which each step changes.
//	O5 A proof is a read of the owner's key that began after the requests which it covers. No reply may be sent, not
//	   even to a read, before the commit of its batch or a proof that began after the last request of its batch.
//	O6 The owner's key of a dropped space stays, and says that the space is dropped. So no claim of it can succeed.
//	O7 The catalog has no owner. A change compares the version for which it was planned, and raises it. The version names
//	   the latest changes, so the Else branch distinguishes an earlier attempt from the change of another server.
//	O8 A hand-over frees the space and names the server that should claim it. The name binds nobody: another server
//	   leaves the space to the named one while that is registered, and claims it when the named one has not served it.
//	   So a named server that is dead, out of reach or unwilling delays nobody for long. O1 decides who has the space.
package ownership
