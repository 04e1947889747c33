// Package serverconfig holds the settings of a server, among them those that only packages of this module set.
package serverconfig

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"

	"tenure/internal/access"
	"tenure/internal/audit"
	"tenure/internal/clock"
	"tenure/internal/node"
	"tenure/internal/serverstats"
	"tenure/internal/store"
)

// Config is what the options of package server set. Its zero value is a server with the defaults.
type Config struct {
	DataDir       *string       // nil: records are kept in memory
	Database      *string       // nil: the default database
	Tokens        *string       // file with users and rights; nil: every caller has all rights
	TokenLifetime time.Duration // of the tokens that Login issues; 0: access.DefaultLifetime
	Logger        *slog.Logger  // nil: the server logs nothing
	TLS           *tls.Config   // for connections over a network. nil: they are in clear text
	Trusts        Trusts        // nil: a client's certificate is good as long as its connection
	Advertise     *string       // the address that the server tells its clients. nil: the one that each of them has used
	NoDiskReserve bool          // serve until the disk is full; otherwise nothing is added to a disk that is nearly full
	Store         store.Store   // keeps the records; the server closes it. nil: chosen by DataDir
	Settle        time.Duration // how long servers that share a store are the same before nodes move; 0: 10 s
	Clock         clock.Clock   // times sessions, waiters and pings. nil: the machine's lease clock
	Lifelines     Lifelines     // nil: detached sessions end only by their timeouts
	InPlace       func() error  // reports that what clients look for is gone, which ends the server; nil: not called
	Control       *Control      // New fills it in; nil: nothing controls the server
	Limits        Limits        // bound what clients can use
	Audit         *audit.Log    // nil: none. The server does not close it
	Admin         *Admin        // New fills it in; nil: nobody looks into the server

	// Loading is called before a node is loaded, and loaded after that. Several nodes may be loaded at the same time.
	Loading func() (loaded func()) // nil: not called

	// Services adds services that not every server needs, such as reflection. The packages of reflection take part in the
	// start of each process that contains them, and the embedded server has no use for them.
	Services func(*grpc.Server) // nil: none
}

// Admin lets the HTTP server of tenure serve look into a server and act on it. The functions are safe for concurrent
// use.
type Admin struct {
	// Count is set by the caller: the server counts what happens in nodes, for Stats.
	Count bool

	// Stats returns a copy of the server's numbers. Numbers of a node that waits for the disk may be older.
	Stats func(ctx context.Context) *serverstats.Server

	// Semaphores returns numbers of at most 1,000 semaphores of loaded nodes, by the node's path, whose names match a
	// pattern of path.Match. It copies the state of each node.
	Semaphores func(ctx context.Context, pattern string) (map[string][]serverstats.Semaphore, error)

	Live  func() error // nil if no node is stuck
	Ready func() error // nil if the server can be used
	Drain func()       // makes the server not ready for good

	// GrantsFrom returns when the server begins to grant again after a restore from a backup, or the zero time if it
	// grants. It may return a time that has just passed.
	GrantsFrom func() time.Time

	// EndSession ends a session as if its timeout had passed, and reports that. If the token is not 0, it does so only if
	// the session holds a semaphore with this token.
	EndSession func(ctx context.Context, by Requester, path string, session, token uint64) error

	// Backup writes a backup of all records as they are at one instant, and reports that it has begun. It must not be
	// called after the server has stopped. What was written is complete only if it returns nil.
	Backup func(ctx context.Context, by Requester, w io.Writer) error

	// Refused counts and reports that a client was refused because of a limit of the caller.
	Refused func(limit, address string)

	// Allow returns the name of the token's user, who must have the rights on the database. If the server knows no users,
	// the name is empty. Allow counts and reports refusals. The address is that of the client.
	Allow func(token string, need access.Rights, from net.Addr) (user string, err error)

	// Still reports whether the user of a token that Allow has accepted has the rights now. A token that a log-in has
	// issued may have expired meanwhile.
	Still func(token string, need access.Rights) bool

	// Lacks counts and reports that somebody was refused who lacks the rights on the database.
	Lacks func(by Requester, need access.Rights)

	// Foreign counts and reports that a request was refused which a web page of somebody else may have made a browser
	// send. There are few reasons.
	Foreign func(reason, shown string, from net.Addr)

	// Caller returns the name of the token's user and the rights on the database. If the server knows no users, the name
	// is empty, and the rights are all. If the token identifies nobody, the error is a *access.DeniedError.
	Caller func(token string) (name string, rights access.Rights, err error)

	// Login returns the token of a user with a password. If the user is empty, the secret is a token, which Login returns
	// without blanks and the like. The address is that of the client. Login counts and reports refusals. Its errors are
	// those of access.Authority.
	Login func(ctx context.Context, user, secret string, from net.Addr) (token string, err error)
}

// A Requester is somebody who uses an Admin.
type Requester struct {
	User    string   // empty: the server knows no users
	Address net.Addr // nil: a process on this machine, over a Unix socket
}

// Trusts reports whether the certificate of a client, which was checked when its connection began, would be accepted
// now. If the client has shown none, it returns true. It is called often, and from several goroutines.
type Trusts func(state tls.ConnectionState) bool

// Control lets tenuretest act on the nodes of a server.
type Control struct {
	// Expire ends sessions as if their timeouts had passed; those that are attached are detached first. It calls choose
	// with the state of each node and ends the sessions that choose returns. It returns when that is durable, and every
	// request that reached a node before the call has been applied.
	Expire func(ctx context.Context, choose func(path string, node *node.Snapshot) []uint64) error
}

// Lifelines reports sessions whose processes are gone. A process that works under a session keeps the session's
// lifeline, which the kernel cuts when the process ends, however it ends. A server that is given Lifelines ends a
// detached session as soon as its lifeline is cut, without waiting for its timeout. Cut may be called from several
// goroutines.
type Lifelines interface {
	// Cut reports whether every process that could work under the session with this protection key is certainly dead.
	// It returns false if one of them lives, or if that is unknown, as for a session that never had a lifeline. Once
	// true, the result stays true. Cut may do a little I/O; it must not wait.
	Cut(key string) bool
}
