package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/certs"
	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/secretfile"
	"tenure/internal/store/etcdstore"
)

// defaultPrefix is the default of --etcd-prefix.
const defaultPrefix = "/tenure/"

// etcdFlags are the values of the flags about etcd, which several commands have.
type etcdFlags struct {
	urls, ca, cert, key, user, passwordFile, prefix string
}

// etcdOnly are the flags that need --etcd.
var etcdOnly = []string{"etcd-ca", "etcd-cert", "etcd-key", "etcd-user", "etcd-password-file", "etcd-prefix"}

// maxPassword bounds the file with the password of --etcd-user.
const maxPassword = 4 << 10

// addEtcdFlags adds the flags to a group of the help. The usage is that of --etcd.
func addEtcdFlags(cmd *cobra.Command, e *etcdFlags, group, usage string) {
	e.prefix = defaultPrefix
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "etcd", Group: group, Arg: "URLS", Example: "https://a:2379,https://b:2379", Value: &e.urls,
			Usage: usage,
		},
		cli.Flag{
			Name: "etcd-ca", Group: group, Arg: "FILE", Example: "etcd-ca.pem", Value: &e.ca,
			Usage: "authorities of etcd's certificates (default: those of the system)",
		},
		cli.Flag{
			Name: "etcd-cert", Group: group, Arg: "FILE", Example: "etcd-client.pem", Value: &e.cert,
			Usage: "client certificate for etcd",
		},
		cli.Flag{
			Name: "etcd-key", Group: group, Arg: "FILE", Example: "etcd-client.key", Value: &e.key,
			Usage: "private key of that certificate",
		},
		cli.Flag{
			Name: "etcd-user", Group: group, Arg: "NAME", Example: "tenure", Value: &e.user,
			Usage: "user of etcd who has permission for the keys with the prefix",
		},
		cli.Flag{
			Name: "etcd-password-file", Group: group, Arg: "FILE", Example: "/etc/tenure/etcd-password",
			Value: &e.passwordFile,
			Usage: "file with the password of that user, which others must not be able to read",
		},
		cli.Flag{
			Name: "etcd-prefix", Group: group, Arg: "PREFIX", Example: "/tenure/", Value: &e.prefix,
			Usage: "prefix of all keys in etcd; servers with the same prefix share their data",
			Check: func() error {
				if len(e.prefix) < 2 || !strings.HasPrefix(e.prefix, "/") || !strings.HasSuffix(e.prefix, "/") {
					return errors.New("is not a prefix: it must begin and end with a slash, as in /tenure/")
				}

				return nil
			},
		},
	)
}

// groupEtcd is the title of the flags about etcd in the help of other commands than serve.
const groupEtcd = "A cluster of servers over etcd"

// remoteEtcd are the flags of a command that uses etcd without being a server.
type remoteEtcd struct {
	etcdFlags

	insecure bool
}

func (e *remoteEtcd) add(cmd *cobra.Command, group, usage string) {
	addEtcdFlags(cmd, &e.etcdFlags, group, usage)
	cli.AddFlags(cmd, cli.Flag{
		Name: "insecure", Group: group, Value: &e.insecure,
		Usage: "allow http:// for members of etcd on other machines",
	})
}

// checkAlone returns the first thing that is wrong with the flags.
func (e *remoteEtcd) checkAlone(cmd *cobra.Command) error {
	for _, err := range e.check(cmd, e.insecure) {
		return err
	}

	return nil
}

// check returns what is wrong with the flags about etcd, without reading the files.
func (e *etcdFlags) check(cmd *cobra.Command, insecure bool) (errs []error) {
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	setting := func(flag string) string { return cli.Setting(cmd, flag) }
	if e.urls == "" {
		for _, flag := range etcdOnly {
			if cli.OnLine(cmd, flag) {
				complain("--%s is for several servers over etcd: pass --etcd, or leave --%s out", flag, flag)
			}
		}

		return errs
	}
	if err := e.checkURLs(insecure); err != nil {
		complain("%s=%q: %w", setting("etcd"), e.urls, err)
	}
	switch secure := e.secure(); {
	case !secure && (e.ca != "" || e.cert != "" || e.key != ""):
		complain("--etcd-ca, --etcd-cert and --etcd-key are for TLS, but %s=%q has none: write https://", setting("etcd"),
			e.urls)
	case e.cert != "" && e.key == "":
		complain("%s=%q needs a private key: pass --etcd-key", setting("etcd-cert"), e.cert)
	case e.cert == "" && e.key != "":
		complain("%s=%q needs a certificate: pass --etcd-cert", setting("etcd-key"), e.key)
	}
	switch {
	case e.user != "" && e.passwordFile == "":
		complain("%s=%q needs a password: pass --etcd-password-file", setting("etcd-user"), e.user)
	case e.user == "" && e.passwordFile != "":
		complain("%s=%q needs a user: pass --etcd-user", setting("etcd-password-file"), e.passwordFile)
	}

	return errs
}

// checkURLs returns what is wrong with the URLs. Without TLS, only members on this machine are allowed, unless the user
// insists.
func (e *etcdFlags) checkURLs(insecure bool) error {
	schemes := make(map[string]bool)
	for text := range strings.SplitSeq(e.urls, ",") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" {
			return fmt.Errorf("%q is not an address: write https://host:port, and a comma between several", text)
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" {
			return fmt.Errorf("%q has more than a host and a port: write https://host:port", text)
		}
		if u.Scheme == "http" && !insecure && !isLoopback(u.Host) {
			return fmt.Errorf("%q would send all data through the network in clear text: write https://, or pass "+
				"--insecure if you trust that network", text)
		}
		schemes[u.Scheme] = true
	}
	if len(schemes) > 1 {
		return errors.New("some members use TLS and others do not: write https:// for all of them")
	}

	return nil
}

func (e *etcdFlags) secure() bool { return strings.HasPrefix(e.urls, "https://") }

// cluster reads the files about etcd.
func (e *etcdFlags) cluster(cmd *cobra.Command) (*etcdstore.Cluster, error) {
	c := &etcdstore.Cluster{URLs: strings.Split(e.urls, ","), User: e.user}
	file := func(flag, path string) certs.File { return certs.File{Setting: cli.Setting(cmd, flag), Path: path} }
	if e.passwordFile != "" {
		text, err := secretfile.Read(e.passwordFile, maxPassword)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cli.Setting(cmd, "etcd-password-file"), err)
		}
		if c.Password = strings.TrimRight(string(text), "\r\n"); c.Password == "" {
			return nil, fmt.Errorf("%s=%q is empty: write the password into it", cli.Setting(cmd, "etcd-password-file"),
				e.passwordFile)
		}
	}
	if !e.secure() {
		return c, nil
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if e.ca != "" {
		if c.TLS.RootCAs, err = certs.ReadAuthorities(file("etcd-ca", e.ca), today()); err != nil {
			return nil, err
		}
	}
	if e.cert == "" {
		return c, nil
	}
	read := func() (tls.Certificate, error) {
		return certs.ReadClient(file("etcd-cert", e.cert), file("etcd-key", e.key), today())
	}
	_, err = read()
	c.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := read() // for each connection, so that it can be replaced
		return &cert, err
	}

	return c, err
}

// today returns the date by which certificates are judged.
func today() time.Time {
	c := clock.System()

	return c.Time(c.Now())
}
