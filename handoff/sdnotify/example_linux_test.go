package sdnotify_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/graceport/graceport/handoff/sdnotify"
)

// A supervisor listens, and a service tells it that it is ready. They would be
// two processes.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, err := sdnotify.Listen(filepath.Join(dir, "notify"))
	if err != nil {
		log.Fatal(err)
	}
	defer socket.Close()
	os.Setenv(sdnotify.EnvSocket, filepath.Join(dir, "notify"))
	defer os.Unsetenv(sdnotify.EnvSocket)

	n, err := sdnotify.New()
	if err != nil {
		log.Fatal(err)
	}
	defer n.Close()
	if err := n.Notify("READY=1", sdnotify.Status("serving\non two addresses")); err != nil {
		log.Fatal(err)
	}

	m, err := socket.Receive()
	if err != nil {
		log.Fatal(err)
	}
	status, _ := m.Value("STATUS")
	fmt.Println(m.PID == os.Getpid(), m.Fields[0], status)
	// Output: true READY=1 serving on two addresses
}
