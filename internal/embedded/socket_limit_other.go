//go:build !linux

package embedded

// maxSocketPath is the maximum length of the path of a socket in bytes: the size of sun_path in sockaddr_un, minus the
// terminating zero.
const maxSocketPath = 103
