package main

import (
	"fmt"
	"strings"
)

// crowds are the columns of the tables of BenchmarkPeers.
func crowds() (heads, names []string) {
	return []string{"1", "16", "64", "256", "256, one connection each"},
		[]string{
			"clients=1/connections=1", "clients=16/connections=1", "clients=64/connections=1",
			"clients=256/connections=1", "clients=256/connections=256",
		}
}

// peers are the rows of the tables of BenchmarkPeers: a peer and its title.
func peers() [][2]string {
	return [][2]string{
		{"etcd", "etcd"},
		{"zookeeper", "ZooKeeper"},
		{"redis", "Redis, appendfsync always"},
		{"tenure", "tenure, on disk"},
		{"tenure-streams", "the same, raw streams"},
		{"tenure-memory", "tenure, in memory"},
		{"bare", "bare gRPC"},
	}
}

func (f figures) peers(p *printer) {
	f.peerTable(p, "pairs/s with this number of clients", func(name string) string {
		return f.cell(name, "pairs/s", rate)
	})
	f.peerTable(p, "relative to Redis", func(name string) string { return f.relative(name, "redis") })
	f.peerTable(p, "relative to bare gRPC", func(name string) string { return f.relative(name, "bare") })
	f.peerTable(p, "CPU time per pair in µs: server + client", func(name string) string {
		server, client := f.median(name, "server-cpu-ns/pair"), f.median(name, "client-cpu-ns/pair")
		if server == 0 {
			return ""
		}

		return fmt.Sprintf("%.0f + %.0f", server/1e3, client/1e3)
	})
	f.peerTable(p, "allocations of the client per pair", func(name string) string {
		return f.cell(name, "client-allocs/pair", func(v float64) string { return fmt.Sprintf("%.0f", v) })
	})
	f.peerTable(p, "p50 / p99 of a pair", func(name string) string {
		if !f.has(name) {
			return ""
		}

		return micros(f.median(name, "p50-ns")) + " / " + micros(f.median(name, "p99-ns"))
	})
	f.peerTable(p, "relative to 1 / (2 echo + 2 fdatasync)", func(name string) string {
		return f.cell(name, "of-bound", times)
	})
}

// peerTable prints a table with a row for each peer and a column for each crowd. Rows without a value are left out.
func (f figures) peerTable(p *printer, title string, cell func(name string) string) {
	heads, names := crowds()
	var rows [][]string
	for _, peer := range peers() {
		row := []string{peer[1]}
		for _, crowd := range names {
			row = append(row, cell("Peers/peer="+peer[0]+"/"+crowd))
		}
		if strings.Join(row[1:], "") != "" {
			rows = append(rows, row)
		}
	}
	p.table(append([]string{title}, heads...), rows)
}

// relative returns the ratio of the pairs per second of a peer to those of another one with the same clients.
func (f figures) relative(name, other string) string {
	_, crowd, _ := strings.Cut(strings.TrimPrefix(name, "Peers/peer="), "/")

	return ratio(f.median(name, "pairs/s"), f.median("Peers/peer="+other+"/"+crowd, "pairs/s"))
}
