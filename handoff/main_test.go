package handoff_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// The test binary is also the service that the tests start.
func TestMain(m *testing.M) {
	if config := os.Getenv(serviceEnv); config != "" {
		if err := runService(config); err != nil {
			fmt.Fprintln(os.Stderr, "service:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv(reachEnv); path != "" {
		reach(path)
		os.Exit(0)
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set("16") // the tests mostly wait for other processes
	}
	os.Exit(m.Run())
}
