package doctor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenure/internal/doctor"
)

func TestEtcdMembers(t *testing.T) {
	t.Parallel()
	good := doctor.EtcdMember{URL: "a", Version: "3.7.3", Leader: true, Size: 10 << 20, InUse: 5 << 20, Quota: 100 << 20}
	require.Equal(t, []doctor.Line{
		{"etcd", doctor.OK, "1 of 1 members answer, version 3.7.3", ""},
		{"etcd space", doctor.OK, "10 MiB of 100 MiB are taken, of which 5 MiB are in use", ""},
	}, doctor.EtcdMembers([]doctor.EtcdMember{good}))

	full, old := good, good
	full.Size, full.URL = 90<<20, "b"
	old.Version, old.Leader = "3.4.23", false
	require.Equal(t, []doctor.Line{
		{
			"etcd", doctor.Warn, "3 of 4 members answer, version 3.4.23 and 3.7.3",
			"use etcd 3.7, with which tenure is tested",
		},
		{"etcd member", doctor.Bad, "a knows no leader", "start a majority of the members"},
		{
			"etcd member", doctor.Warn, "c does not answer: refused",
			"start it again, or replace it; while a majority of the members runs, locks work",
		},
		{
			"etcd space", doctor.Warn, "90 MiB of 100 MiB are taken, of which 5 MiB are in use",
			"compact and defragment etcd, and raise its --quota-backend-bytes if that does not help",
		},
	}, doctor.EtcdMembers([]doctor.EtcdMember{good, full, old, {URL: "c", Err: errors.New("refused")}}))

	full.Alarm = errors.New("etcd is full: do something")
	require.Contains(t, doctor.EtcdMembers([]doctor.EtcdMember{good, full}),
		doctor.Line{Check: "etcd space", Result: doctor.Bad, Found: "etcd is full", Do: "do something"})
	unknown := good
	unknown.Quota = 0
	require.Equal(t, "there is no alarm; the members do not tell their limits",
		doctor.EtcdMembers([]doctor.EtcdMember{unknown})[1].Found)
}

func TestEtcdCommits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]doctor.Result{
		time.Millisecond: doctor.OK, 500 * time.Millisecond: doctor.Warn, 3 * time.Second: doctor.Bad,
	} {
		require.Equal(t, want, doctor.EtcdCommits([]time.Duration{d}, 10*time.Second).Result)
	}
}

func TestEtcdServers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "no server is registered with this prefix", doctor.EtcdServers(nil)[0].Found)
	a, b := doctor.EtcdServer{"A", "a:1", "v1", "x"}, doctor.EtcdServer{"B", "b:1", "v1", "x"}
	require.Equal(t, []doctor.Line{{"servers", doctor.OK, "2 are registered: a:1, b:1", ""}},
		doctor.EtcdServers([]doctor.EtcdServer{b, a}))
	b.Version, b.Limits, b.At = "v2", "y", "a:1"
	require.Equal(t, []doctor.Line{
		{"servers", doctor.OK, "2 are registered: a:1, a:1", ""},
		{
			"servers", doctor.Bad, "two servers tell the others the address a:1", "give each one a --peer-address of its own",
		},
		{
			"servers", doctor.Warn, "not all servers have the same version: a:1 has v1, a:1 has v2", "update the older ones",
		},
		{
			"servers", doctor.Warn, "not all servers have the same limits: a:1 has x, a:1 has y",
			"start all of them with the same --max-... flags",
		},
	}, doctor.EtcdServers([]doctor.EtcdServer{a, b}))
}

func TestPeers(t *testing.T) {
	t.Parallel()
	require.Equal(t, []doctor.Line{{"peers", doctor.OK, "a:1 reaches 1 other server", ""}},
		doctor.Peers("a:1", map[string]string{"b:1": ""}))
	require.Equal(t, []doctor.Line{{
		"peers", doctor.Bad, "c:1 is registered, but does not answer a:1: refused",
		"check that it runs, and that the servers reach each other at --peer-address or --advertise",
	}}, doctor.Peers("a:1", map[string]string{"b:1": "", "c:1": "refused"}))
}
