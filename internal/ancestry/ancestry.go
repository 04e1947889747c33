// Package ancestry tells a process, through its environment, which locks its ancestors hold, and which tasks of a
// pool they run.
package ancestry

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
)

// Variable lists the locks that this process and its ancestors run under, for a lock inside COMMAND. A task
// that a process runs counts as a lock.
const Variable = "TENURE_HELD"

// A Hold is a lock that a process runs under, as an entry of TENURE_HELD.
type Hold struct {
	Server  string `json:"server"` // see ServerID; the state directory of the embedded server
	Node    string `json:"node"`
	Name    string `json:"name"`
	Session uint64 `json:"session"`
	Token   uint64 `json:"token"`
}

// Read returns the locks that the ancestors of this process held when they started it. They may have lost them in
// the meantime. A value that has another form is an error, because it may hide a lock that this process would wait for
// forever.
func Read(lookupEnv func(string) (string, bool)) ([]Hold, error) {
	text, ok := lookupEnv(Variable)
	if !ok || text == "" {
		return nil, nil
	}
	var holds []Hold
	if err := json.Unmarshal([]byte(text), &holds); err != nil {
		return nil, fmt.Errorf("%s=%q was not set by lock or workers (%w): unset the variable", Variable, text, err)
	}

	return holds, nil
}

// Under returns the entry of the lock with this name. Found is false if no ancestor held it.
func Under(ancestors []Hold, server, node, name string) (h Hold, found bool) {
	i := slices.IndexFunc(ancestors, func(h Hold) bool { return h.Server == server && h.Node == node && h.Name == name })
	if i < 0 {
		return Hold{}, false
	}

	return ancestors[i], true
}

// Text returns the value of the variable for COMMAND: the locks of the ancestors and those that this process holds
// itself.
func Text(ancestors, own []Hold) string {
	isOwn := func(h Hold) bool {
		_, again := Under(own, h.Server, h.Node, h.Name)

		return again
	}
	text, err := json.Marshal(append(slices.DeleteFunc(slices.Clone(ancestors), isOwn), own...))
	if err != nil {
		panic("ancestry: " + Variable + ": " + err.Error()) // a Hold has only strings and numbers
	}

	return string(text)
}

// ServerID returns a name for a server that is the same for the usual spellings of its address. It contains no
// password.
func ServerID(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		host = "localhost"
	}

	return host + ":" + u.Port() + u.Path
}
