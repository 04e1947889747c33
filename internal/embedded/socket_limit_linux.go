package embedded

// maxSocketPath is how many bytes the name of a socket may have: sun_path of sockaddr_un, without the zero at its end.
const maxSocketPath = 107
