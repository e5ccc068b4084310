package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPeersIn(t *testing.T) {
	dir := t.TempDir()
	if _, err := PeersIn(dir); err == nil || !strings.Contains(err.Error(), "go build -o") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := PeersIn(filepath.Join(dir, "absent")); err == nil {
		t.Error("an absent directory is accepted")
	}
	for name, mode := range map[string]os.FileMode{"tableflip": 0o700, "notes.txt": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	peers, err := PeersIn(dir)
	if err != nil || len(peers) != 1 || peers[0].Name != "tableflip" || peers[0].Command[0] != filepath.Join(dir, "tableflip") {
		t.Fatalf("%+v, %v", peers, err)
	}
	var b bytes.Buffer
	if err := List(t.Context(), &b, &Options{Peers: peers}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"tableflip", "endless"} {
		_, after, ok := strings.Cut(b.String(), "\n  "+line+" ")
		row, _, _ := strings.Cut(after, "\n")
		if not := strings.Contains(row, "not here"); !ok || not != (line == "endless") {
			t.Errorf("%s: %q", line, row)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "handoff"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := PeersIn(dir); err == nil {
		t.Error("a peer by the name of a method is accepted")
	}
}
