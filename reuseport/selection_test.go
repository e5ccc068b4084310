package reuseport

import (
	"math"
	"strings"
	"testing"
)

func TestSelectionValidate(t *testing.T) {
	one, two := Range{0, 1}, Range{1, 2}
	tests := []struct {
		sel  Selection
		want string // part of the error, or empty
	}{
		{Selection{To: one}, ""},
		{Selection{To: one, Share: 2500, Rest: two, Balance: CPU}, ""},
		{Selection{To: one, Share: 10_000, Rest: two}, ""},
		{Selection{To: Range{maxSockets - 1, 1}}, ""},
		{Selection{}, "To.Count is 0"},
		{Selection{To: Range{-1, 1}}, "To.First is -1"},
		{Selection{To: Range{0, -3}}, "To.Count is -3"},
		{Selection{To: Range{maxSockets, 1}}, "at most 65535"},
		{Selection{To: Range{1, math.MaxInt}}, "at most 65535"},
		{Selection{To: one, Share: -1}, "Share is -1"},
		{Selection{To: one, Share: 10_001, Rest: two}, "Share is 10001"},
		{Selection{To: one, Share: 1, Rest: Range{3, 0}}, "Rest.Count is 0"},
		{Selection{To: one, Share: 1, Rest: Range{-2, 1}}, "Rest.First is -2"},
		{Selection{To: one, Balance: 7}, "Balance is 7"},
	}
	for _, tt := range tests {
		err := tt.sel.validate()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.sel, err)
		case tt.want != "" && err == nil:
			t.Errorf("%+v: no error, want %q", tt.sel, tt.want)
		case tt.want != "" && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%+v: %v, want %q", tt.sel, err, tt.want)
		}
	}
}

func TestSelectionDivided(t *testing.T) {
	to, rest := Range{0, 1}, Range{1, 2}
	tests := []struct {
		share   int
		rest    Range
		only    Range
		divided bool
	}{
		{5000, Range{}, to, false},
		{10_000, rest, to, false},
		{0, rest, rest, false},
		{1, rest, Range{}, true},
		{9999, rest, Range{}, true},
	}
	for _, tt := range tests {
		only, divided := Selection{To: to, Share: tt.share, Rest: tt.rest}.divided()
		if only != tt.only || divided != tt.divided {
			t.Errorf("share %d, rest %v: %v, %t, want %v, %t", tt.share, tt.rest, only, divided, tt.only, tt.divided)
		}
	}
}

func TestStrategySteers(t *testing.T) {
	want := map[Strategy]bool{EBPF: true, CBPF: true, Migrate: false, None: false}
	for _, s := range byStrength() {
		if s.Steers() != want[s] {
			t.Errorf("%s steers: %t", s, s.Steers())
		}
	}
}
