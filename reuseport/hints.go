package reuseport

import "fmt"

// smallBacklog is a net.core.somaxconn that a burst fills: at 10000
// connections a second it covers a pause of 100 ms.
const smallBacklog = 1024

// hints draws conclusions from the other fields.
func hints(r *Report) []Hint {
	var out []Hint
	if r.Strategy == CBPF && !fixed52910(r.Kernel) {
		out = append(out, Hint{
			ID: "CVE-2026-52910",
			Text: "kernel " + r.Kernel + " may lack the fix for CVE-2026-52910: " +
				"a classic program that is replaced is freed while it may still run",
			Do: "update the kernel, or let the service load eBPF programs (CAP_BPF)",
		})
	}
	if r.TCPMigrateReq {
		out = append(out, Hint{
			ID: "CVE-2026-46015",
			Text: "net.ipv4.tcp_migrate_req is on: kernels from before May 2026 do not wake " +
				"the process that a connection moves to",
			Do: "update the kernel, or set net.ipv4.tcp_migrate_req=0 if a strategy that steers is in force",
		})
	}
	if r.MPTCPDefault {
		out = append(out, Hint{
			ID: "mptcp-default",
			Text: "net.Listen makes Multipath TCP listeners here, and the kernel attaches no " +
				"program to a group of those",
			Do: "call SetMultipathTCP(false) on the net.ListenConfig of listeners made without this package",
		})
	}
	if r.Somaxconn > 0 && r.Somaxconn < smallBacklog {
		out = append(out, Hint{
			ID:   "somaxconn",
			Text: fmt.Sprintf("net.core.somaxconn is %d: accept queues overflow in a short pause", r.Somaxconn),
			Do:   "set net.core.somaxconn=4096",
		})
	}
	return out
}

// fixed52910 reports whether the version of a kernel shows that it has the fix.
// A false answer is no proof: distributors apply fixes without changing the
// version, and other stable branches have releases with the fix too.
func fixed52910(release string) bool {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(release, "%d.%d.%d", &major, &minor, &patch); n < 2 {
		return false
	}
	switch {
	case major > 7 || major == 7 && minor >= 1:
		return true
	case major == 7:
		return patch >= 12
	case major == 6 && minor == 12:
		return patch >= 93
	}
	return false
}
