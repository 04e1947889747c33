// Package dsn parses the address of a server, checks what answers there, and explains why a connection fails.
//
// Errors name the setting that the address comes from, such as a flag, a variable or an argument, and say what to do.
// They never contain a password.
package dsn

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Embedded stands for the embedded server in place of an address.
const Embedded = "embedded"

// Address is a valid DSN.
type Address struct {
	Host     string // host:port, or the path of a Unix socket
	Database string // without a slash at its end

	url     string // the DSN in the form grpc://host:port/database
	user    bool   // it contains a user name
	setting string // where it comes from
	secure  bool   // it uses TLS
	socket  string // path of the Unix socket; empty: the server is used over TCP
	owner   string // name or id of the user whom the server at the socket belongs to; empty: this user or root
	hints   Hints
}

// Hints names what a user can set about the identity of the two ends, for errors.
type Hints struct {
	CA    string // authorities to trust
	Cert  string // certificate of the client
	Token string // access token, or user and password
}

// apiHints are for programs that use package tenure.
var apiHints = Hints{
	CA: "YDB_SSL_ROOT_CERTIFICATES_FILE or ydb.WithCertificatesFromFile", Cert: "ydb.WithTLSConfig",
	Token: "ydb.WithAccessTokenCredentials or ydb.WithStaticCredentials",
}

// WithHints sets the hints. Without it they are those of package tenure.
func (a *Address) WithHints(h Hints) *Address {
	if h != (Hints{}) {
		a.hints = h
	}

	return a
}

// Secure reports whether the server is used with TLS.
func (a *Address) Secure() bool { return a.secure }

const form = "write grpc://host:port/database, for example grpc://localhost:2136/local"

// Parse parses a DSN of the form grpc://host:port/database, grpcs://host:port/database or unix:///path/of/socket. The
// setting names the origin of the text in errors, here and from the methods of the address: "--ydb", "TENURE_DSN", "the
// DSN".
func Parse(setting, text string) (*Address, error) {
	if text == "" {
		return nil, fmt.Errorf("%s is empty: write %q to use the embedded server, or grpc://host:port/database",
			setting, Embedded)
	}
	fail := func(problem string) (*Address, error) {
		return nil, fmt.Errorf("%s=%q %s: %s", setting, Redact(text), problem, form)
	}
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Scheme == socketScheme:
		return parseSocket(setting, text, u)
	case err != nil || u.Hostname() == "":
		return fail("is not a valid address")
	case u.Scheme != "grpc" && u.Scheme != "grpcs":
		return fail("does not begin with grpc://, grpcs:// or unix://")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return fail("has no valid port")
	}
	query := u.Query()
	database := strings.TrimRight(cmp.Or(query.Get("database"), u.Path), "/")
	switch {
	case database == "":
		return fail("has no database")
	case !utf8.ValidString(text) || !utf8.ValidString(database) || !utf8.ValidString(u.Host):
		return fail("is not valid UTF-8")
	case unprintable(database): // it is sent as a header
		return fail("has a database with characters other than printable ASCII")
	}

	query.Del("database")
	u.Path, u.RawPath, u.RawQuery = database, "", query.Encode()

	return &Address{
		Host: u.Host, Database: database, url: u.String(), user: u.User != nil, setting: setting,
		secure: u.Scheme == "grpcs", hints: apiHints,
	}, nil
}

func unprintable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// Redact returns a DSN, valid or not, without the password, and without parameters, which may be secret as well.
func Redact(text string) string {
	text, parameters, hasParameters := strings.Cut(text, "?")
	if hasParameters && !strings.Contains(text, "@") && strings.Contains(parameters, "@") {
		scheme, _, _ := strings.Cut(text, "://")

		return scheme + "://..." // the question mark may be part of a password
	}
	if i := strings.LastIndex(text, "@"); i >= 0 {
		start := strings.Index(text, "://") + len("://")
		if start < len("://") || start > i {
			start = 0
		}
		user, _, _ := strings.Cut(text[start:i], ":")
		text = text[:start] + user + ":xxxxx" + text[i:]
	}
	if hasParameters {
		text += "?..."
	}

	return text
}

// errorf returns an error with the text, which unwraps to cause. The text says everything that a reader needs of the
// cause: those of the SDK and of gRPC are long, and the same failure has many forms.
func errorf(cause error, format string, args ...any) error {
	return &failure{text: fmt.Sprintf(format, args...), cause: cause}
}

type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }
