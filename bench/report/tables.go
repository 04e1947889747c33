package main

import "fmt"

func (f figures) bounds(p *printer) {
	var rows [][]string
	for _, row := range [][2]string{{"Echo", "gRPC echo"}, {"Fdatasync", "fdatasync of a 512-byte append"}} {
		if f.has(row[0]) {
			rows = append(rows, []string{row[1], f.cell(row[0], "p50-ns", micros), f.cell(row[0], "p99-ns", micros)})
		}
	}
	p.table([]string{"bound", "p50", "p99"}, rows)
}

func (f figures) handover(p *printer) {
	var rows [][]string
	for _, waiting := range []int{2, 128, 1_000} {
		for _, store := range []string{"memory", "disk"} {
			name := fmt.Sprintf("Handover/store=%s/waiting=%d", store, waiting)
			if f.has(name) {
				rows = append(rows, []string{
					number(waiting), store, f.cell(name, "p50-ns", micros), f.cell(name, "p99-ns", micros),
					f.cell(name, "p50-multiple", times), f.cell(name, "p99-multiple", times),
				})
			}
		}
	}
	p.table([]string{"waiters", "store", "p50", "p99", "p50 / (echo + fdatasync)", "p99 / (echo + fdatasync)"}, rows)
}

func (f figures) memory(p *printer) {
	var rows [][]string
	for _, row := range [][3]string{
		{"10,000 attached sessions", "bare", "attached=10000"},
		{"10,000 attached sessions", "memory", "attached=10000"},
		{"10,000 attached sessions", "disk", "attached=10000"},
		{"10,000 detached sessions", "disk", "detached=10000"},
		{"100,000 held semaphores", "memory", "held=100000"},
		{"100,000 held semaphores", "disk", "held=100000"},
	} {
		name := "Memory/store=" + row[1] + "/" + row[2]
		if f.has(name) {
			rows = append(rows, []string{
				row[0], row[1], f.cell(name, "live-B/each", bytes), f.cell(name, "resident-B/each", bytes),
			})
		}
	}
	p.table([]string{"items", "server", "heap and stacks per item", "resident per item"}, rows)

	if f.has("IdleClient") {
		p.table([]string{"heap and stacks per idle session of a client", "resident", "CPU time per second for all"},
			[][]string{{
				f.cell("IdleClient", "live-B/session", bytes), f.cell("IdleClient", "resident-B/session", bytes),
				f.cell("IdleClient", "cpu-ms/s", func(v float64) string { return times(v) + " ms" }),
			}})
	}
}

func (f figures) startup(p *printer) {
	var rows [][]string
	for _, held := range []int{0, 100_000, 990_000} {
		name := fmt.Sprintf("Startup/held=%d", held)
		if f.has(name) {
			rows = append(rows, []string{
				number(held), f.cell(name, "ns/op", millis), f.cell(name, "live-B/each", bytes),
				f.cell(name, "resident-B/each", bytes), f.cell(name, "serve-resident-B/each", bytes),
			})
		}
	}
	p.table([]string{
		"held semaphores in the store", "startup time", "heap and stacks per semaphore",
		"resident per semaphore after a collection", "resident per semaphore at the start",
	}, rows)

	rows = nil
	for _, held := range []int{0, 990_000} {
		name := fmt.Sprintf("Merge/held=%d", held)
		if f.has(name) {
			rows = append(rows, []string{
				number(held), f.cell(name, "p99-ns", millis), f.cell(name, "longest-ns", millis),
			})
		}
	}
	p.table([]string{"held semaphores in the store", "p99 of a pair", "longest pair"}, rows)
	rows = nil
	for _, collector := range []string{"on", "off"} {
		name := "Merge_Moderate/collector=" + collector
		if !f.has(name) {
			continue
		}
		for _, when := range []string{"merge", "other"} {
			rows = append(rows, []string{
				collector, when, f.cell(name, when+"-longest-ns", millis), f.cell(name, when+"-over-5ms/s", rate),
			})
		}
	}
	p.table([]string{"garbage collector", "pairs", "longest", "longer than 5 ms, per second"}, rows)
}

func (f figures) lock(p *printer) {
	var rows [][]string
	for _, server := range []string{"embedded", "remote"} {
		if name := "Lock/server=" + server; f.has(name) {
			rows = append(rows, []string{
				server, f.cell(name, "p50-ns", millis), f.cell(name, "alone-p50-ns", millis),
				f.cell(name, "lock-resident-B", mega), f.cell(name, "guard-resident-B", mega),
				f.cell(name, "program-B", mega),
			})
		}
	}
	p.table([]string{
		"server of lock", "until COMMAND starts, p50", "without lock", "resident, lock", "resident, guard", "program",
	}, rows)
}

func (f figures) takeover(p *printer) {
	var rows [][]string
	for _, processes := range []int{2, 8} {
		for _, row := range [][3]string{
			{"holder", "the holder", "the next waiter works"},
			{"host_and_holder", "the holder, which hosts the server", "the next waiter works"},
			{"host", "the host", "the server answers again"},
		} {
			name := fmt.Sprintf("Takeover/killed=%s/contenders=%d", row[0], processes)
			if f.has(name) {
				rows = append(rows, []string{
					number(processes), row[1], row[2], f.cell(name, "p50-ns", millis), f.cell(name, "p99-ns", millis),
				})
			}
		}
	}
	p.table([]string{"processes", "killed", "time until", "p50", "p99"}, rows)
}

func (f figures) failover(p *printer) {
	var rows [][]string
	for _, tool := range []string{"tenure", "etcd", "zookeeper"} {
		name := "Failover/tool=" + tool
		if f.has(name) {
			rows = append(rows, []string{
				tool, f.cell(name, "p50-ns", millis), f.cell(name, "p99-ns", millis), f.cell(name, "overlaps", rate),
			})
		}
	}
	p.table([]string{"tool", "p50", "p99", "the old command still ran"}, rows)
}
