package lockcmd

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
)

// heldVariable lists the locks that this process and its ancestors run under, for a lock inside COMMAND.
const heldVariable = "TENURE_HELD"

// A hold is a lock that a process runs under, as an entry of TENURE_HELD.
type hold struct {
	Server  string `json:"server"` // see serverID; the state directory of the embedded server
	Node    string `json:"node"`
	Name    string `json:"name"`
	Session uint64 `json:"session"`
	Token   uint64 `json:"token"`
}

// ancestry returns the locks that the ancestors of this process held when they started it. They may have lost them in
// the meantime. A value that has another form is an error, because it may hide a lock that this process would wait for
// forever.
func ancestry(lookupEnv func(string) (string, bool)) ([]hold, error) {
	text, ok := lookupEnv(heldVariable)
	if !ok || text == "" {
		return nil, nil
	}
	var holds []hold
	if err := json.Unmarshal([]byte(text), &holds); err != nil {
		return nil, fmt.Errorf("%s=%q was not set by lock (%w): unset the variable", heldVariable, text, err)
	}

	return holds, nil
}

// under returns the entry of the lock with this name. Found is false if no ancestor held it.
func under(ancestors []hold, server, node, name string) (h hold, found bool) {
	i := slices.IndexFunc(ancestors, func(h hold) bool { return h.Server == server && h.Node == node && h.Name == name })
	if i < 0 {
		return hold{}, false
	}

	return ancestors[i], true
}

// heldText returns the value of the variable for COMMAND: the locks of the ancestors and those that this process holds
// itself.
func heldText(ancestors, own []hold) string {
	isOwn := func(h hold) bool {
		_, again := under(own, h.Server, h.Node, h.Name)

		return again
	}
	text, err := json.Marshal(append(slices.DeleteFunc(slices.Clone(ancestors), isOwn), own...))
	if err != nil {
		panic("lock: " + heldVariable + ": " + err.Error()) // a hold has only strings and numbers
	}

	return string(text)
}

// serverID returns a name for a server that is the same for the usual spellings of its address. It contains no
// password.
func serverID(address string) string {
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
