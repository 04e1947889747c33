package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/internal/printable"
)

// EtcdMember is what a member of etcd says about itself.
type EtcdMember struct {
	URL                string
	Err                error // why it does not answer; nil: it does
	Version            string
	Leader             bool // it knows a leader
	Size, InUse, Quota int64
	Alarm              error // nil: there is none
}

// EtcdServer is what a server over etcd says about itself there.
type EtcdServer struct{ ID, At, Version, Limits string }

// testedEtcd is the version of etcd that this project is tested with.
const testedEtcd = "3.7."

// EtcdMembers judges the members of etcd that the servers use, and the space that they have left.
func EtcdMembers(members []EtcdMember) (lines []Line) {
	var versions []string
	answers := 0
	for _, m := range members {
		switch {
		case m.Err != nil:
			lines = append(lines, Line{
				Check: "etcd member", Result: Warn, Found: fmt.Sprintf("%s does not answer: %v", m.URL, m.Err),
				Do: "start it again, or replace it; while a majority of the members runs, locks work",
			})

			continue
		case !m.Leader:
			lines = append(lines, Line{
				Check: "etcd member", Result: Bad, Found: m.URL + " knows no leader", Do: "start a majority of the members",
			})
		}
		answers++
		if !slices.Contains(versions, m.Version) {
			versions = append(versions, m.Version)
		}
	}
	if answers == 0 {
		return lines
	}
	slices.Sort(versions)
	l := ok("etcd", "%d of %d members answer, version %s", answers, len(members), strings.Join(versions, " and "))
	if slices.ContainsFunc(versions, func(v string) bool { return !strings.HasPrefix(v, testedEtcd) }) {
		l.Result, l.Do = Warn, "use etcd 3.7, with which tenure is tested"
	}

	return append(append([]Line{l}, lines...), etcdSpace(members))
}

// etcdSpace judges the space of the member that has the least left, and alarms.
func etcdSpace(members []EtcdMember) Line {
	const check = "etcd space"
	var worst EtcdMember
	for _, m := range members {
		if m.Alarm != nil {
			return Failed(check, m.Alarm)
		}
		if m.Quota > 0 && (worst.Quota == 0 || m.Size*worst.Quota/m.Quota > worst.Size) {
			worst = m
		}
	}
	const mib = 1 << 20
	l := ok(check, "%d MiB of %d MiB are taken, of which %d MiB are in use", worst.Size/mib, worst.Quota/mib,
		worst.InUse/mib)
	switch {
	case worst.Quota == 0:
		l.Found = "there is no alarm; the members do not tell their limits"
	case worst.Size > worst.Quota/10*8:
		l.Result = Warn
		l.Do = "compact and defragment etcd, and raise its --quota-backend-bytes if that does not help"
	}

	return l
}

// EtcdCommits compares the times of small writes to etcd with a session timeout.
func EtcdCommits(times []time.Duration, timeout time.Duration) Line {
	return judge("etcd commit", "a write", times, timeout, "look for what is slow: the network, or the disks of etcd")
}

// EtcdServers judges the servers that are registered in etcd. What they say about themselves should be the same, except
// for their addresses.
func EtcdServers(servers []EtcdServer) []Line {
	const check = "servers"
	if len(servers) == 0 {
		return []Line{ok(check, "no server is registered with this prefix")}
	}
	names := make([]string, len(servers))
	at := make(map[string]bool)
	var lines []Line
	for i, s := range servers {
		names[i] = s.At
		if at[s.At] {
			lines = append(lines, Line{
				Check: check, Result: Bad, Found: "two servers tell the others the address " + s.At,
				Do: "give each one a --peer-address of its own",
			})
		}
		at[s.At] = true
	}
	slices.Sort(names)
	lines = append([]Line{ok(check, "%d are registered: %s", len(servers), strings.Join(names, ", "))}, lines...)
	for _, of := range []struct {
		what, do string
		get      func(EtcdServer) string
	}{
		{"version", "update the older ones", func(s EtcdServer) string { return s.Version }},
		{"limits", "start all of them with the same --max-... flags", func(s EtcdServer) string { return s.Limits }},
	} {
		differs := slices.ContainsFunc(servers, func(s EtcdServer) bool { return of.get(s) != of.get(servers[0]) })
		if differs {
			lines = append(lines, Line{
				Check: check, Result: Warn, Found: "not all servers have the same " + of.what + ": " + shows(servers, of.get),
				Do: of.do,
			})
		}
	}

	return lines
}

func shows(servers []EtcdServer, get func(EtcdServer) string) string {
	texts := make([]string, len(servers))
	for i, s := range servers {
		texts[i] = s.At + " has " + get(s)
	}
	slices.Sort(texts)

	return strings.Join(texts, ", ")
}

// Peers judges whether the server that was asked reaches the others. The keys are their addresses, and the values are
// errors or empty.
func Peers(asked string, others map[string]string) []Line {
	const check = "peers"
	var lines []Line
	for at, text := range others {
		if text != "" {
			lines = append(lines, Line{
				Check: check, Result: Bad, Found: fmt.Sprintf("%s is registered, but does not answer %s: %s", at, asked, text),
				Do: "check that it runs, and that the servers reach each other at --peer-address or --advertise",
			})
		}
	}
	slices.SortFunc(lines, func(a, b Line) int { return strings.Compare(a.Found, b.Found) })
	if len(lines) == 0 {
		lines = []Line{ok(check, "%s reaches %s", asked, printable.Count(len(others), "other server", "other servers"))}
	}

	return lines
}
