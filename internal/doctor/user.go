package doctor

import (
	"context"

	"github.com/ydb-platform/ydb-go-sdk/v3/discovery"

	"tenure/internal/printable"
	"tenure/internal/ydberr"
)

// User asks the server whom it takes the caller for. The name is empty if the server does not say.
func User(ctx context.Context, client discovery.Client) (line Line, name string) {
	const check = "token"
	who, err := client.WhoAmI(ctx)
	switch {
	case ydberr.Unimplemented(err):
		return ok(check, "the server does not tell whom it takes the caller for"), ""
	case err != nil:
		return Line{
			Check: check, Result: Bad, Found: "the server refuses the credentials: " + ydberr.Said(err),
			Do: "check --auth-token-file and the YDB_* variables",
		}, ""
	}

	return ok(check, "the server takes the caller for %s", printable.Text(who.User)), who.User
}
