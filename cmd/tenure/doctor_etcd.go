package main

import (
	"context"

	"tenure/internal/doctor"
	"tenure/internal/store/etcdstore"
	"tenure/server"
)

// examineEtcd checks the etcd of several servers.
func (e *examination) examineEtcd(ctx context.Context) {
	cluster, err := e.etcd.cluster(e.cmd)
	if err != nil {
		e.report.Add(doctor.Failed("etcd", err))

		return
	}
	found, err := etcdstore.Examine(ctx, *cluster, e.etcd.prefix)
	members := make([]doctor.EtcdMember, len(found.Members))
	for i, m := range found.Members {
		members[i] = doctor.EtcdMember(m)
	}
	e.report.Add(doctor.EtcdMembers(members)...)
	if err != nil {
		e.report.Add(doctor.Failed("etcd", err))

		return
	}
	e.report.Add(doctor.EtcdCommits(found.Commits, e.Timeout))
	servers := make([]doctor.EtcdServer, len(found.Servers))
	for i, s := range found.Servers {
		servers[i] = doctor.EtcdServer{ID: s.ID, At: s.At(), Version: s.Version, Limits: s.Limits}
	}
	e.report.Add(doctor.EtcdServers(servers)...)
}

// examinePeers asks one of several servers whether it reaches the others, and compares their users and rights.
func (e *examination) examinePeers(ctx context.Context) {
	ctx, cancel := e.limited(ctx)
	defer cancel()
	var status server.Status
	client, err := e.adminClient()
	if err == nil {
		status, err = client.Status(ctx)
	}
	if err != nil || len(status.Servers) == 0 {
		return // adminVersion reports an error
	}
	asked, others, digests := "", make(map[string]string), make(map[string]string)
	for _, s := range status.Servers {
		at := s.Peer
		if at == "" {
			at = s.Address
		}
		if s.Asked {
			asked = at
		} else {
			others[at] = s.Error
		}
		if s.Rights != "" {
			digests[at] = s.Rights
		}
	}
	e.report.Add(doctor.Peers(asked, others)...)
	e.report.Add(doctor.Users(digests)...)
}
