package servermetrics

import (
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tenure_"+name, help, labels, nil)
}

// The metrics of a server.
var (
	buildInfo = desc("build_info", "Version of tenure and of Go; the value is 1.", "version", "goversion")
	ready     = desc("ready", "Whether the server can be used: 1 or 0.")
	grantsIn  = desc("restore_wait_seconds", "Time for which the server still grants nothing after a restore; "+
		"0 if it grants.")
	streams = desc("streams", "Open streams of sessions.")
	limits  = desc("limits_total", "Requests and connections that were refused, by the limit that they exceeded.",
		"limit")
	authFailures = desc("auth_failures_total", "Callers that were not accepted, by reason.", "reason")
	streamEnds   = desc("stream_ends_total", "Streams that have ended, by reason.", "reason")
	auditDropped = desc("audit_dropped_total", "Events that are missing in the audit log.")

	sessions   = desc("sessions", "Sessions; detached ones end when their timeouts have passed.", "node", "state")
	semaphores = desc("semaphores", "Semaphores.", "node")
	owners     = desc("owners", "Sessions that hold a semaphore, once for each semaphore.", "node")
	waiters    = desc("waiters", "Sessions that wait for a semaphore, once for each semaphore.", "node")

	longestWait = desc("longest_wait_seconds", "Time for which the first of those who wait now has waited.", "node")
	longestHold = desc("longest_hold_seconds", "Time for which the oldest grant has been held. "+
		"A restart of the server begins again.", "node")
	longestDetached = desc("longest_detached_hold_seconds",
		"Time for which a session whose client is gone has held a semaphore since then, of all such sessions the longest.",
		"node")

	acquires    = desc("acquires_total", "Acquires, by result.", "node", "result")
	grantEnds   = desc("grant_ends_total", "Grants that have ended, by reason.", "node", "reason")
	acquireWait = desc("acquire_wait_seconds", "Time between an acquire and its grant.", "node")
	hold        = desc("hold_seconds", "Time between a grant and its end.", "node")

	requestsTotal  = desc("requests_total", "Answered requests.", "method", "status")
	inbox          = desc("inbox_length", "Streams whose requests wait for the node.", "node")
	commit         = desc("commit_seconds", "Time of a commit to the store.", "node")
	commitRequests = desc("commit_requests", "Messages that one commit has released.")
	commitFailures = desc("commit_failures_total", "Commits that have failed. The server stops after the first one.")
	load           = desc("load_seconds", "Time that it took to load the node from the store.", "node")

	servers       = desc("servers", "Servers that share the store and seem to be alive.")
	registered    = desc("registered", "Whether the other servers consider this one to be alive: 1 or 0.")
	registrations = desc("registrations_total", "Registrations of this server. Each one after the first means that it "+
		"has seemed to be dead.")
	owned        = desc("owned", "Whether this server serves the node: 1.", "node")
	ownerChanges = desc("owner_changes_total", "Nodes that this server has got or lost, by reason.", "reason")
	forwarded    = desc("forwarded_streams", "Streams of clients of this server that other servers serve.")
	silence      = desc("etcd_silence_seconds", "Time since etcd has last answered this server, which asks every second.")
	etcdSeconds  = desc("etcd_seconds", "Time of an attempt to carry out a transaction in etcd.", "op", "result")
	proof        = desc("proof_seconds", "Time in which this server has proven that it still owned a node.")
	compactions  = desc("etcd_compactions_total", "Compactions of etcd by this server, by result.", "result")

	semaphoreOwners  = desc("semaphore_owners", "Owners of the semaphore.", "node", "semaphore")
	semaphoreWaiters = desc("semaphore_waiters", "Waiters for the semaphore.", "node", "semaphore")
	semaphoreWait    = desc("semaphore_wait_seconds", "Time for which the first waiter has waited.", "node", "semaphore")
	semaphoreHold    = desc("semaphore_hold_seconds", "Time for which the first owner has held it.", "node", "semaphore")
)

func validLabel(s string) bool { return utf8.ValidString(s) }
