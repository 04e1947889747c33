package main

import (
	"fmt"
	"strconv"
)

// logs prints the comparison of package logs.
func (f figures) logs(p *printer) {
	names := []string{"ours", "etcd-wal", "raft-wal", "pebble", "raw"}
	var rows [][]string
	for _, owners := range []int{1, 16, 64} {
		for _, log := range names {
			name := fmt.Sprintf("Commit/owners=%d/log=%s", owners, log)
			if f.has(name) {
				rows = append(rows, []string{
					strconv.Itoa(owners), log, f.cell(name, "commits/s", rate), f.cell(name, "p50-ns", micros),
					f.cell(name, "p99-ns", micros), f.cell(name, "cpu-ns/commit", microsWithTenths),
				})
			}
		}
	}
	p.table([]string{"goroutines", "log", "commits/s", "p50", "p99", "CPU time per commit"}, rows)

	rows = nil
	for _, log := range names {
		open, added := "Open/log="+log+"/commits=5000", "Size/log="+log
		if f.has(open) || f.has(added) {
			rows = append(rows, []string{
				log, f.cell(open, "p50-ns", millis), f.cell(open, "p99-ns", millis), f.cell(added, "added-B", mega),
			})
		}
	}
	p.table([]string{"log", "time to open, p50", "p99", "added to a program"}, rows)
}

func microsWithTenths(v float64) string { return fmt.Sprintf("%.1f µs", v/1e3) }
