package reuseport

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// programs are selections with both of their programs, instruction by
// instruction.
func programs() []struct {
	name              string
	sel               Selection
	classic, extended []string
} {
	const random, cpu uint32 = 0xfffff038, 0xfffff024
	return []struct {
		name              string
		sel               Selection
		classic, extended []string
	}{
		{
			"one index", Selection{To: Range{3, 1}},
			[]string{"06 0 0 3"},
			[]string{"b7 0 3", "95 0 0"},
		},
		{
			"random in a range", Selection{To: Range{2, 4}},
			[]string{fmt.Sprint("20 0 0 ", random), "94 0 0 4", "04 0 0 2", "16 0 0 0"},
			[]string{"85 0 7", "94 0 4", "04 0 2", "95 0 0"},
		},
		{
			"CPU in a range", Selection{To: Range{0, 2}, Balance: CPU},
			[]string{fmt.Sprint("20 0 0 ", cpu), "94 0 0 2", "04 0 0 0", "16 0 0 0"},
			[]string{"85 0 8", "94 0 2", "04 0 0", "95 0 0"},
		},
		{
			"a share between single sockets", Selection{To: Range{1, 1}, Share: 2500, Rest: Range{0, 1}},
			[]string{fmt.Sprint("20 0 0 ", random), "94 0 0 10000", "35 1 0 2500", "06 0 0 1", "06 0 0 0"},
			[]string{"85 0 7", "94 0 10000", "35 2 2500", "b7 0 1", "95 0 0", "b7 0 0", "95 0 0"},
		},
		{
			"a share between ranges", Selection{To: Range{2, 2}, Share: 1, Rest: Range{0, 2}},
			[]string{
				fmt.Sprint("20 0 0 ", random), "94 0 0 10000", "35 4 0 1",
				fmt.Sprint("20 0 0 ", random), "94 0 0 2", "04 0 0 2", "16 0 0 0",
				fmt.Sprint("20 0 0 ", random), "94 0 0 2", "04 0 0 0", "16 0 0 0",
			},
			[]string{
				"85 0 7", "94 0 10000", "35 4 1",
				"85 0 7", "94 0 2", "04 0 2", "95 0 0",
				"85 0 7", "94 0 2", "04 0 0", "95 0 0",
			},
		},
		{
			"no share", Selection{To: Range{1, 1}, Share: 0, Rest: Range{0, 1}},
			[]string{"06 0 0 0"},
			[]string{"b7 0 0", "95 0 0"},
		},
	}
}

func TestClassicProgram(t *testing.T) {
	for _, tt := range programs() {
		var got []string
		for _, i := range classic(tt.sel) {
			got = append(got, fmt.Sprintf("%02x %d %d %d", i.Code, i.Jt, i.Jf, i.K))
		}
		if !slices.Equal(got, tt.classic) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.classic)
		}
	}
}

func TestExtendedProgram(t *testing.T) {
	for _, tt := range programs() {
		var got []string
		for i := range slices.Chunk(extended(tt.sel), insnSize) {
			if i[1] != 0 {
				t.Errorf("%s: uses a register other than r0", tt.name)
			}
			got = append(got, fmt.Sprintf("%02x %d %d", i[0],
				int16(binary.NativeEndian.Uint16(i[2:])), int32(binary.NativeEndian.Uint32(i[4:]))))
		}
		if !slices.Equal(got, tt.extended) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.extended)
		}
	}
}

// The kernel accepts every form of program.
func TestProgramsAttach(t *testing.T) {
	for _, s := range steering(t) {
		l := open(t, "tcp4", "127.0.0.1:0", &Options{Strategy: s})
		for _, tt := range programs() {
			if err := l.Steer(tt.sel); err != nil {
				t.Errorf("%s: %s: %v", s, tt.name, err)
			}
		}
	}
}
