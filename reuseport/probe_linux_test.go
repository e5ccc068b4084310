package reuseport

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestProbe(t *testing.T) {
	r, err := Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l := open(t, "tcp4", "127.0.0.1:0", nil); l.Strategy() != r.Strategy {
		t.Errorf("strategy is %q, Listen picks %q", r.Strategy, l.Strategy())
	}
	for _, u := range r.Unavailable {
		if u.Why == "" || u.Strategy == r.Strategy {
			t.Errorf("unavailable: %+v", u)
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if r.Kernel != strings.TrimSpace(string(release)) {
		t.Errorf("kernel is %q, want %q", r.Kernel, release)
	}
	if r.Somaxconn < 1 {
		t.Errorf("somaxconn is %d", r.Somaxconn)
	}
	if r.TCPMigrateReq != (try(Migrate) == nil) {
		t.Errorf("tcp_migrate_req is %t", r.TCPMigrateReq)
	}

	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	mustContain(t, string(text), `"kernel":`, `"strategy":"`, `"mptcp_default":`, `"somaxconn":`)
}

// Without privileges the reason is the missing permission.
func TestProbeOrdinaryUser(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs an ordinary user")
	}
	data, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled")
	if err != nil || data[0] == '0' {
		t.Skip("eBPF needs no privilege here")
	}
	if err := try(EBPF); !errors.Is(err, os.ErrPermission) {
		t.Fatalf("ebpf: %v, want a permission error", err)
	}
	r, err := Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Strategy != CBPF || len(r.Unavailable) != 1 || r.Unavailable[0].Strategy != EBPF {
		t.Errorf("strategy %q, unavailable %v, want cbpf for want of ebpf", r.Strategy, r.Unavailable)
	}
}

// The fact behind the hint: no program for Multipath TCP.
func TestMultipathListenersCannotBeSteered(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		t.Skipf("no Multipath TCP: %v", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		t.Fatal(err)
	}
	if err := attach(fd, CBPF, Selection{To: Range{Count: 1}}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("attach: %v, want errors.ErrUnsupported", err)
	}
}
