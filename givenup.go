package tenure

import (
	"cmp"
	"slices"
	"time"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
)

// The grace period of a node whose settings are not known, and that of a node with the default settings (N5).
const (
	maxGrace     = 30 * time.Second
	defaultGrace = 10 * time.Second
)

// maxGivenUp is how many of the sessions that it has given up a client remembers for each node.
const maxGivenUp = 64

// A givenUp is a session that the client has given up and that the server may still have.
type givenUp struct {
	id      uint64
	session *Session
}

// remember adds the session to those that the client has given up.
func (c *Client) remember(s *Session, id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := append(c.givenUp[s.path], givenUp{id, s})
	c.givenUp[s.path] = list[max(0, len(list)-maxGivenUp):]
}

// forget removes a session that does not exist any longer.
func (c *Client) forget(path string, id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.DeleteFunc(c.givenUp[path], func(g givenUp) bool { return g.id == id })
	if c.givenUp[path] = list; len(list) == 0 {
		delete(c.givenUp, path)
	}
}

// keptFor returns for how long the server may keep the session with the id, at most, after an instant at which the
// session is detached and the node is loaded. It returns false unless the client has given the session up.
func (c *Client) keptFor(path string, id uint64) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.givenUp[path], func(g givenUp) bool { return g.id == id })
	if i < 0 {
		return 0, false
	}

	return c.givenUp[path][i].session.timeout + cmp.Or(c.graces[path], maxGrace), true
}

// needsSettings reports whether the client has given up a session on the node, and does not know for how long the
// server keeps it.
func (c *Client) needsSettings(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.graces[path]

	return !known && len(c.givenUp[path]) > 0
}

// dismissAll records that no code works under the sessions that the client has given up.
func (c *Client) dismissAll() {
	c.mu.Lock()
	var all []*Session
	for _, list := range c.givenUp {
		for _, g := range list {
			all = append(all, g.session)
		}
	}
	c.mu.Unlock()
	for _, s := range all {
		s.dismiss()
	}
}

// learn remembers the settings of a node.
func (c *Client) learn(path string, config *coordination.NodeConfig) {
	if config == nil {
		return
	}
	grace := time.Duration(config.SessionGracePeriodMillis) * time.Millisecond
	c.mu.Lock()
	defer c.mu.Unlock()
	c.graces[path] = min(cmp.Or(grace, defaultGrace), maxGrace)
}

// givenUp reports whether the client has given up the session with the id on the node of s, and how long the server
// keeps that session at most. The bound assumes that s started later. The node is loaded since then at the latest, and
// the other session was detached before it was given up (P2, A13).
func (s *Session) givenUp(id uint64) (left time.Duration, ok bool) {
	kept, ok := s.client.keptFor(s.path, id)
	if !ok || id == s.SessionID() {
		return 0, false
	}
	s.mu.Lock()
	attached := s.attached
	s.mu.Unlock()

	return max(0, attached.Add(kept).Sub(s.client.clock.Now())), true
}
