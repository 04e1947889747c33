package doctor

// Versions compares the versions of this program and of the server, which is empty if it is not known.
func Versions(client, server string) Line {
	const check = "version"
	switch server {
	case "":
		return ok(check, "this is tenure %s; the protocol does not tell the version of the server", client)
	case client:
		return ok(check, "this program and the server are tenure %s", client)
	}

	return Line{
		Check: check, Result: Warn, Found: "this is tenure " + client + ", and the server is tenure " + server,
		Do: "update the older of the two",
	}
}
