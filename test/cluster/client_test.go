package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/balancers"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination/options"

	"tenure"
	"tenure/internal/clock"
	"tenure/test/cluster/clustertest"
)

// Session timeouts of clients. Those that only read wait longer for answers of a server that stands still.
const (
	usual   = 10 * time.Second
	patient = 30 * time.Second
)

// tries limits a read, so that another one begins while a server stands still.
const tries = 300 * time.Millisecond

// Kinds of clients.
const (
	contender = "contender" // takes a lock that others want too
	holder    = "holder"    // holds a lock
	writer    = "writer"    // changes data
	reader    = "reader"    // describes everything
)

// A client does something all the time, until the stage ends.
type client struct {
	*stage

	number int
	kind   string
	name   string              // for people
	front  *clustertest.Server // the only one that it uses; nil: it may use all
	tenure *tenure.Client
	mute   atomic.Bool  // changes nothing for the time being
	idle   atomic.Bool  // does what mute asks for
	asks   atomic.Int64 // operations that have begun
	acks   atomic.Int64 // operations that have succeeded
}

// join adds a client, and starts work.
func (s *stage) join(kind string, front *clustertest.Server, work func(*client)) *client {
	s.Helper()
	c := &client{stage: s, number: len(s.clients), kind: kind, front: front}
	c.name = fmt.Sprintf("%s %d", kind, c.number)
	server, opts := front, []tenure.Option{tenure.WithDriverOptions(ydb.WithBalancer(balancers.SingleConn()))}
	if front == nil {
		server, opts = s.Servers[c.number%len(s.Servers)], nil
	} else {
		c.name += " at " + front.Name
	}
	var err error
	c.tenure, err = tenure.Open(s.Context(), server.DSN(), opts...)
	require.NoError(s, err)
	s.clients = append(s.clients, c)
	s.running.Go(func() {
		work(c)
		_ = c.tenure.Close(s.ctx)
	})

	return c
}

// sessions calls work with a session until the stage ends, and with another one whenever a session is lost.
func (c *client) sessions(timeout time.Duration, work func(coordination.Session)) {
	for !c.ending() {
		ctx, cancel := context.WithTimeout(c.ctx, timeout)
		session, err := c.tenure.Session(ctx, nodePath, options.WithSessionTimeout(timeout))
		cancel()
		if err != nil {
			c.pause()

			continue
		}
		work(session)
		if lost := context.Cause(session.Context()); lost != nil {
			c.lost(c, lost)
		}
		_ = session.Close(c.ctx)
	}
}

func (c *client) pause() { clock.Pause(c.ctx, c.clock, 5*time.Millisecond) }

// turn reports whether the client is to make another change. It waits while the client is mute.
func (c *client) turn() bool {
	for c.mute.Load() && !c.ending() {
		c.idle.Store(true)
		c.pause()
	}
	c.idle.Store(false)

	return !c.ending()
}

// writing writes rising numbers to a semaphore of the client. A client that may use one server only waits longer, so
// that its request is carried out when a server goes on that has stood still.
func (c *client) writing(name string) {
	var number uint64
	timeout := usual
	if c.front != nil {
		timeout = patient
	}
	c.sessions(timeout, func(s coordination.Session) {
		for ; c.turn(); c.pause() {
			number++
			began := c.ask()
			err := s.UpdateSemaphore(c.ctx, name, options.WithUpdateData(binary.BigEndian.AppendUint64(nil, number)))
			o := op{name: name, verb: write, data: number}
			if err != nil {
				c.history.addOpen(c.number, began, o)

				return
			}
			c.history.add(c.number, began, o)
			c.ack(began)
		}
	})
}

// reading describes all semaphores at once, again and again.
func (c *client) reading(names []string) {
	const rest = 50 * time.Millisecond
	c.sessions(patient, func(s coordination.Session) {
		for ; !c.ending() && s.Context().Err() == nil; clock.Pause(c.ctx, c.clock, rest) {
			ctx, cancel := context.WithTimeout(c.ctx, tries)
			began := c.ask()
			var describing sync.WaitGroup
			var answered atomic.Int64
			for _, name := range names {
				describing.Go(func() {
					if c.describe(ctx, s, name, began) {
						answered.Add(1)
					}
				})
			}
			describing.Wait()
			cancel()
			if answered.Load() == int64(len(names)) {
				c.ack(began)
			}
		}
	})
}

// describe reports whether there was an answer.
func (c *client) describe(ctx context.Context, s coordination.Session, name string, began int64) bool {
	d, err := s.DescribeSemaphore(ctx, name, options.WithDescribeOwners(true))
	if err != nil {
		return false
	}
	o := op{name: name, verb: read}
	if len(d.Data) > 0 {
		o.data = binary.BigEndian.Uint64(d.Data)
	}
	if len(d.Owners) > 0 {
		o.token = d.Owners[0].OrderID
	}
	c.history.add(c.number, began, o)

	return true
}

// contending takes and releases a lock that others want too.
func (c *client) contending(name string) {
	c.sessions(usual, func(s coordination.Session) {
		for ; c.turn(); c.pause() {
			lease, b, ok := c.take(s, name)
			if !ok {
				return
			}
			for range 2 {
				c.pause()
				c.witness.works(name, b)
			}
			if !c.give(lease, name, b) {
				return
			}
		}
	})
}

// holding holds a lock that nobody else wants.
func (c *client) holding(name string) {
	c.sessions(usual, func(s coordination.Session) {
		lease, b, ok := c.take(s, name)
		if !ok {
			return
		}
		for !c.ending() && lease.Context().Err() == nil {
			const rest = 50 * time.Millisecond
			clock.Pause(lease.Context(), c.clock, rest)
			c.witness.works(name, b)
			ctx, cancel := context.WithTimeout(c.ctx, tries)
			began := c.ask()
			_, err := s.DescribeSemaphore(ctx, name)
			cancel()
			if err == nil {
				c.ack(began)
			}
		}
		c.give(lease, name, b)
	})
}

// take acquires a lock, or returns false if the session was lost.
func (c *client) take(s coordination.Session, name string) (*tenure.Lease, belief, bool) {
	began := c.ask()
	held, err := s.AcquireSemaphore(c.ctx, name, 1)
	granted := c.history.now()
	var token uint64
	if err == nil {
		token, err = held.(*tenure.Lease).Token(c.ctx)
	}
	if err != nil {
		c.history.unclear(name)
		c.fail(s, err)

		return nil, belief{}, false
	}
	lease := held.(*tenure.Lease)
	b := belief{lease: lease, who: c.name, token: token}
	c.witness.begin(name, b)
	c.history.addAt(c.number, began, granted, op{name: name, verb: acquire, token: token})
	c.ack(began)

	return lease, b, true
}

// give releases a lock. It returns false if the session was lost.
func (c *client) give(lease *tenure.Lease, name string, b belief) bool {
	c.witness.works(name, b)
	c.witness.end(name, b)
	began := c.ask()
	if err := lease.Release(); err != nil || lease.Session().Context().Err() != nil {
		c.history.addOpen(c.number, began, op{name: name, verb: lose, token: b.token})
		c.fail(lease.Session(), err)

		return false
	}
	c.history.add(c.number, began, op{name: name, verb: release, token: b.token})
	c.ack(began)

	return true
}

// fail notes an error that no client may see while its session is alive.
func (c *client) fail(s coordination.Session, err error) {
	if s.Context().Err() == nil && c.ctx.Err() == nil {
		c.wrong(fmt.Errorf("%s: %w: %w", c.name, errRefused, err))
	}
}

var errRefused = errors.New("a request failed, although its session is alive")

// ask notes that an operation begins, and returns the instant.
func (c *client) ask() int64 {
	c.asks.Add(1)

	return c.history.now()
}

// ack notes that an operation that began at an instant has succeeded.
func (c *client) ack(began int64) {
	c.acks.Add(1)
	c.service.add(c, began)
}
