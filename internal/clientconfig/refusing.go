package clientconfig

// Refusing is embedded in the clients whose method Session returns the refusal of the server. Other clients, such as
// that of ydb-go-sdk, try again without reporting it.
type Refusing struct {
	// Unknown reports whether the client needs a look at the node, because it may be asked for how long the server keeps a
	// session.
	Unknown func(path string) bool
}

func (r Refusing) sessionSuffices(path string) bool { return !r.Unknown(path) }

// SessionSuffices reports whether a caller that opens a session on the node at path, and expects the node to exist, can
// do without looking up the node: the client has Refusing and needs no look-up itself. The client may be embedded in
// another one.
func SessionSuffices(client any, path string) bool {
	c, ok := client.(interface{ sessionSuffices(path string) bool })

	return ok && c.sessionSuffices(path)
}
