package reuseport

// Strategy is how a group keeps the connections of a socket that closes.
// The doc comment of the package compares them.
type Strategy string

// The strategies, strongest first.
const (
	// EBPF steers with an eBPF program. Loading one needs CAP_BPF (before Linux
	// 5.8 CAP_SYS_ADMIN), or kernel.unprivileged_bpf_disabled=0.
	EBPF Strategy = "ebpf"
	// CBPF steers with a classic BPF program, which needs no privilege. Kernels
	// without the fix for CVE-2026-52910 free a replaced classic program while
	// it may still run, so replace it seldom.
	CBPF Strategy = "cbpf"
	// Migrate leaves the choice to the kernel's hash and relies on
	// net.ipv4.tcp_migrate_req=1, which moves what a closing socket still holds
	// to another member of the group.
	Migrate Strategy = "migrate"
	// None leaves the choice to the kernel's hash. A connection that arrives
	// between the last look at a queue and the close is lost.
	None Strategy = "none"

	// Rename is the strategy of Unix sockets, and of no others: their path is
	// led to one socket or the other.
	Rename Strategy = "rename"
)

// Steers reports whether the strategy can choose who receives new handshakes.
// Rename can, but cannot share them out.
func (s Strategy) Steers() bool { return s == EBPF || s == CBPF || s == Rename }

// byStrength lists the strategies for TCP in the order in which Listen tries
// them.
func byStrength() []Strategy { return []Strategy{EBPF, CBPF, Migrate, None} }
