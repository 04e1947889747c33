package main

import (
	"fmt"
	"strings"
)

// clusterPeers are the rows of the tables of BenchmarkClusterPairs: a peer and its title.
func clusterPeers() [][2]string {
	return [][2]string{
		{"etcd-mutex", "etcd's own locks"},
		{"etcd-txn", "etcd, two transactions"},
		{"owner", "tenure, through the owner"},
		{"front", "tenure, through another server"},
		{"any", "tenure, through all servers"},
		{"owner-streams", "raw streams, through the owner"},
		{"front-streams", "raw streams, through another server"},
		{"nodes-streams", "raw streams, three nodes with an owner each"},
	}
}

func (f figures) cluster(p *printer) {
	f.clusterTable(p, "pairs/s with this number of clients", func(name string) string {
		return f.cell(name, "pairs/s", rate)
	})
	f.clusterTable(p, "relative to etcd's own locks", func(name string) string {
		_, clients, _ := strings.Cut(strings.TrimPrefix(name, "ClusterPairs/peer="), "/")

		return ratio(f.median(name, "pairs/s"), f.median("ClusterPairs/peer=etcd-mutex/"+clients, "pairs/s"))
	})
	f.clusterTable(p, "CPU time per pair in µs: etcd + servers + clients", func(name string) string {
		if !f.has(name) {
			return ""
		}

		return fmt.Sprintf("%.0f + %.0f + %.0f", f.median(name, "etcd-cpu-ns/pair")/1e3,
			f.median(name, "server-cpu-ns/pair")/1e3, f.median(name, "client-cpu-ns/pair")/1e3)
	})
	f.clusterTable(p, "p50 / p99 of a pair", func(name string) string {
		if !f.has(name) {
			return ""
		}

		return micros(f.median(name, "p50-ns")) + " / " + micros(f.median(name, "p99-ns"))
	})
	f.clusterHandover(p)
	f.clusterMemory(p)
}

// clusterTable prints a table with a row for each peer and a column for each number of clients.
func (f figures) clusterTable(p *printer, title string, cell func(name string) string) {
	heads := []string{"1", "16", "64", "256"}
	var rows [][]string
	for _, peer := range clusterPeers() {
		row := []string{peer[1]}
		for _, clients := range heads {
			row = append(row, cell("ClusterPairs/peer="+peer[0]+"/clients="+clients))
		}
		if strings.Join(row[1:], "") != "" {
			rows = append(rows, row)
		}
	}
	p.table(append([]string{title}, heads...), rows)
}

func (f figures) clusterHandover(p *printer) {
	var rows [][]string
	for _, waiting := range []int{2, 128} {
		for _, peer := range clusterPeers() {
			name := fmt.Sprintf("ClusterHandover/peer=%s/waiting=%d", peer[0], waiting)
			if f.has(name) {
				rows = append(rows, []string{
					number(waiting), peer[1], f.cell(name, "p50-ns", micros), f.cell(name, "p99-ns", micros),
					f.cell(name, "commit-p50-ns", micros), f.cell(name, "commit-p99-ns", micros),
				})
			}
		}
	}
	p.table([]string{"waiters", "hand-over", "p50", "p99", "change in etcd, p50", "p99"}, rows)
}

func (f figures) clusterMemory(p *printer) {
	var rows [][]string
	for _, row := range [][3]string{
		{"the owner, for a client of its own", "false", "owner"},
		{"the owner, for a client of another server", "true", "owner"},
		{"that other server", "true", "front"},
	} {
		name := "ClusterMemory/front=" + row[1] + "/attached=10000"
		if f.has(name) {
			rows = append(rows, []string{
				row[0], f.cell(name, row[2]+"-live-B/each", bytes), f.cell(name, row[2]+"-resident-B/each", bytes),
				f.cell(name, row[2]+"-goroutines/each", rate),
			})
		}
	}
	p.table([]string{"10,000 idle sessions", "heap and stacks per session", "resident per session", "goroutines"}, rows)
}
