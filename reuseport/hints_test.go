package reuseport

import (
	"slices"
	"testing"
)

func TestHints(t *testing.T) {
	tests := []struct {
		name   string
		report Report
		want   []string
	}{
		{"nothing to say", Report{Kernel: "6.1.0", Strategy: EBPF, Somaxconn: 4096}, nil},
		{"classic, may be unpatched", Report{Kernel: "6.18.44", Strategy: CBPF}, []string{"CVE-2026-52910"}},
		{"classic, patched", Report{Kernel: "7.1.0", Strategy: CBPF}, nil},
		{"migration", Report{Kernel: "7.1.0", Strategy: Migrate, TCPMigrateReq: true}, []string{"CVE-2026-46015"}},
		{"multipath", Report{Strategy: EBPF, MPTCPDefault: true}, []string{"mptcp-default"}},
		{"small backlog", Report{Strategy: EBPF, Somaxconn: 128}, []string{"somaxconn"}},
	}
	for _, tt := range tests {
		var got []string
		for _, h := range hints(&tt.report) {
			got = append(got, h.ID)
			if h.Text == "" || h.Do == "" {
				t.Errorf("%s: %s says nothing", tt.name, h.ID)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: hints are %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFixed52910(t *testing.T) {
	for release, want := range map[string]bool{
		"6.12.92":            false,
		"6.12.93":            true,
		"6.12.93-1-amd64":    true,
		"6.18.44":            false,
		"5.15.0-100-generic": false,
		"7.0.11":             false,
		"7.0.12":             true,
		"7.1":                true,
		"7.1.0-rc1":          true,
		"8.0.0":              true,
		"":                   false,
		"strange":            false,
	} {
		if got := fixed52910(release); got != want {
			t.Errorf("%q: %t, want %t", release, got, want)
		}
	}
}
