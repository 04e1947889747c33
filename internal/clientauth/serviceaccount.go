package clientauth

import (
	ydbcredentials "github.com/ydb-platform/ydb-go-sdk/v3/credentials"
	"github.com/ydb-platform/ydb-go-yc"
)

// Variables with the key of a service account. The first one that is set counts.
const (
	accountKeyVariable  = "YDB_SERVICE_ACCOUNT_KEY_CREDENTIALS"
	accountFileVariable = "YDB_SERVICE_ACCOUNT_KEY_FILE_CREDENTIALS"
)

// serviceAccount returns the credentials of the variables with the key of a service account, or nil if none is set.
// They exchange a signed token for an access token. The package environ makes them so that they send the signed token
// to any server that answers, because they do not check its certificate.
func serviceAccount(lookup func(string) (string, bool), opts ...yc.ClientOption) (ydbcredentials.Credentials, error) {
	opts = append(opts, yc.WithInsecureSkipVerify(false))
	if key, ok := lookup(accountKeyVariable); ok {
		return yc.NewClient(append(opts, yc.WithServiceKey(key), yc.WithSourceInfo(accountKeyVariable))...)
	}
	if file, ok := lookup(accountFileVariable); ok {
		return yc.NewClient(append(opts, yc.WithServiceFile(file), yc.WithSourceInfo(accountFileVariable))...)
	}

	return nil, nil //nolint:nilnil // there are none
}
