package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"

	"tenure/internal/advertise"
)

// names returns the host names of this server in lower case: those of its machine, and those in its flags.
func (p *plan) names(ctx context.Context, f *serveFlags) (names []string) {
	add := func(name string) {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if _, err := netip.ParseAddr(name); err != nil && name != "" {
			names = append(names, name)
		}
	}
	for _, address := range []string{f.http, f.listen} {
		if host, _, err := net.SplitHostPort(address); err == nil {
			add(host)
		}
	}
	if endpoint, err := advertise.Parse(p.advertise); err == nil {
		add(endpoint.Host)
	}
	host, err := os.Hostname()
	if err != nil {
		return names
	}
	add(host)
	short, _, _ := strings.Cut(host, ".")
	add(short)
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if full, err := net.DefaultResolver.LookupCNAME(ctx, host); err == nil { // with the domain of the machine
		add(full)
	}

	return names
}
