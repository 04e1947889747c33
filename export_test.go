package tenure

// NewClient returns a client on a connection and a clock of the test's.
var NewClient = newClient
