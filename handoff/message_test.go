package handoff

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"type":"hello","protocol":1,"pid":7,"version":"v1"}` + "\n" + `{"type":"alive","share":5000}`))
	f.Add(message{Type: msgWelcome, Generation: 3, State: map[string][]byte{"key": {1, 2}}, Plan: []Share{{Share: 100, Hold: Duration(time.Second)}},
		Listeners: []listenerInfo{{Name: "a", Network: "tcp", Address: "[::1]:80", Inodes: []uint64{1 << 60}}}}.line())
	f.Add([]byte("\x00\n\n{}\n[]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for lines := messageReader(bytes.NewReader(b)); lines.Scan(); {
			m, err := parseMessage(lines.Bytes())
			if err != nil {
				continue
			}
			// What is accepted can be said, and is understood the same.
			again, err := parseMessage(bytes.TrimSuffix(m.line(), []byte("\n")))
			if err != nil {
				t.Fatalf("%q: %v", m.line(), err)
			}
			if x, y := m.line(), again.line(); !bytes.Equal(x, y) {
				t.Fatalf("%q became %q", x, y)
			}
			if m.Share < 0 || m.Share > wholeShare || stateSize(m.State) > maxState {
				t.Fatalf("accepted %+v", m)
			}
		}
	})
}

func TestMessageBounds(t *testing.T) {
	if _, err := parseMessage([]byte(`{"type":"hello","something":{"new":[1,2,3]}}`)); err != nil {
		t.Errorf("an unknown field: %v", err)
	}
	big, _ := json.Marshal(message{Type: msgWelcome, State: map[string][]byte{"k": make([]byte, maxState)}})
	if _, err := parseMessage(big); err == nil {
		t.Error("a state of more than a mebibyte was accepted")
	}
	fits := message{Type: msgWelcome, State: map[string][]byte{"k": make([]byte, maxState-1)}}.line()
	lines := messageReader(bytes.NewReader(fits))
	if !lines.Scan() {
		t.Fatalf("the largest state does not fit a line: %v", lines.Err())
	}
	if _, err := parseMessage(lines.Bytes()); err != nil {
		t.Errorf("the largest state: %v", err)
	}
}

func TestParsePlan(t *testing.T) {
	plan, err := ParsePlan("1%:30s, 10%:1m,0.5%")
	if err != nil {
		t.Fatal(err)
	}
	want := []Share{{100, Duration(30 * time.Second)}, {1000, Duration(time.Minute)}, {50, 0}}
	for i := range want {
		if plan[i] != want[i] {
			t.Errorf("step %d is %v, want %v", i, plan[i], want[i])
		}
	}
	for _, bad := range []string{"", "10", "101%", "-1%", "NaN%", "10%:", "10%:0s", "10%:-1s", "10%:1", strings.Repeat("1%:1s,", 200) + "1%"} {
		if _, err := ParsePlan(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
