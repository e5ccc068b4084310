package bench

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

func TestInventoryFindsWhatIsLeft(t *testing.T) {
	before := takeInventory()
	if over := before.compare(takeInventory()); len(over) > 0 {
		t.Fatalf("nothing changed, but: %q", over)
	}

	block := make(chan struct{})
	for range 20 { // more than may be ending from tests before
		go func() { <-block }()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Skip(err)
	}
	all := strings.Join(before.compare(takeInventory()), "\n")
	for _, want := range []string{" goroutines", " descriptors", "process "} {
		if !strings.Contains(all, want) {
			t.Errorf("%q not found in %q", want, all)
		}
	}

	close(block)
	ln.Close()
	_ = child.Process.Kill()
	_ = child.Wait()
	if over := before.leftovers(t.Context()); len(over) > 0 {
		t.Errorf("all was given back, but: %q", over)
	}
}
