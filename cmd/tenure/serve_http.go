package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"time"

	"github.com/spf13/cobra"

	"tenure/internal/cli"
	"tenure/internal/clock"
	"tenure/internal/httpd"
	"tenure/internal/serverconfig"
	"tenure/internal/version"
	"tenure/server"
)

// groupWatching is the title of the flags that let people look into a server, in the help.
const groupWatching = "Watching"

// httpFlags are the values of the flags about HTTP and the end of a server.
type httpFlags struct {
	http, semaphores string
	drain            time.Duration
}

// maxDrain is the limit of --drain.
const maxDrain = time.Hour

func addHTTP(cmd *cobra.Command, f *serveFlags) {
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "http", Group: groupWatching, Arg: "ADDR", Example: "127.0.0.1:8136", Value: &f.http,
			Usage: "host:port for the page, /metrics, /healthz, /readyz and /api/v1",
		},
		cli.Flag{
			Name: "metrics-semaphores", Group: groupWatching, Arg: "PATTERN", Example: "deploy-*", Value: &f.semaphores,
			Usage: "metrics of their own for semaphores whose names match, at most 1,000",
			Check: func() error { return checkPattern(f.semaphores) },
		},
		cli.Flag{
			Name: "drain", Group: groupWatching, Arg: "D", Example: "5s", Value: &f.drain,
			Usage: "time between the signal to stop, when the server reports that it is not ready, and the end of streams",
			Check: func() error {
				if f.drain < 0 || f.drain > maxDrain {
					return fmt.Errorf("is out of range: must be between 0 and %v", maxDrain)
				}

				return nil
			},
		},
	)
}

func checkPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return errors.New("is not a pattern: * matches any characters except /, ? matches one")
	}

	return nil
}

// checkHTTP returns what is wrong with the flags about HTTP.
func (f *serveFlags) checkHTTP(cmd *cobra.Command) error {
	if f.http == "" {
		if f.semaphores != "" {
			return fmt.Errorf("%s=%q needs an address for metrics: pass --http", cli.Setting(cmd, "metrics-semaphores"),
				f.semaphores)
		}

		return nil
	}

	if len(f.passed.http) > 0 {
		return nil // checkPassed checks it
	}

	return f.checkAddress(cli.Setting(cmd, "http"), f.http)
}

// looking is the HTTP server of a server. A nil looking does nothing.
type looking struct {
	admin *serverconfig.Admin
	lis   net.Listener
	http  *httpd.Server
	done  chan struct{}
}

// lookOn opens the address of --http, if it is given, and adds what it needs to the options.
func (p *plan) lookOn(cmd *cobra.Command, f *serveFlags) (*looking, error) {
	admin := &serverconfig.Admin{Count: f.http != ""}
	p.opts = append(p.opts, func(c *serverconfig.Config) { c.Admin = admin })
	l := &looking{admin: admin}
	if f.http == "" {
		return l, nil
	}
	if len(f.passed.http) > 0 {
		l.lis = f.passed.http[0]

		return l, nil
	}
	lis, err := listen(cmd, "http", f.http)
	l.lis = lis

	return l, err
}

// serve starts to answer requests.
func (l *looking) serve(ctx context.Context, p *plan, f *serveFlags, srv *server.Server) {
	if l.lis == nil {
		return
	}
	c := httpd.Config{
		Server: srv, Admin: l.admin, Version: version.String(), Semaphores: f.semaphores, Users: f.tokens != "",
		Local: isLoopback(f.http), Logger: p.log,
	}
	if p.certs != nil {
		c.Trusts = p.certs.Trusts
	}
	if f.audit.file != "-" {
		c.Audit = f.audit.file
	}
	scheme := "http"
	if p.certs != nil && !c.Local {
		c.TLS, scheme = p.certs.TLS(), "https"
	}
	if c.TLS == nil && !c.Local && !c.Users {
		c.Names = p.names(ctx, f)
	}
	l.http, l.done = httpd.New(c), make(chan struct{})
	p.log.InfoContext(ctx, "serving HTTP", "address", scheme+"://"+l.lis.Addr().String())
	go func() { // ends with stop
		defer close(l.done)
		if err := l.http.Serve(l.lis); err != nil {
			p.log.ErrorContext(ctx, "HTTP server failed: metrics and health are not available", "error", err)
		}
	}()
}

// drain reports that the server is not ready, and waits. It returns early when the server fails.
func (l *looking) drain(p *plan, d time.Duration, served <-chan error) (failed bool, err error) {
	l.admin.Drain()
	if d == 0 {
		return false, nil
	}
	clk := clock.System()
	timer := clk.NewTimer()
	defer timer.Stop()
	now := clk.Now()
	timer.Set(now, now.Add(d))
	p.log.InfoContext(context.Background(), "draining: not ready for new clients", "duration", d)
	select {
	case <-timer.C():
		return false, nil
	case err := <-served:
		return true, err
	}
}

// stop ends the HTTP server.
func (l *looking) stop(ctx context.Context) {
	switch {
	case l.http != nil:
		l.http.Close(ctx)
		<-l.done
	case l.lis != nil:
		_ = l.lis.Close()
	}
}

// isLoopback reports whether only this machine can reach the host:port.
func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)

	return host == "localhost" || ip != nil && ip.IsLoopback()
}
