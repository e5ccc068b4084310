package bench

import (
	"fmt"
	"os"
)

// migrateReq moves the queued and half-open connections of a closing listener
// to another member of its group; Linux 5.14, Documentation/networking/ip-sysctl.
// It holds for a whole network namespace, which is why this method wants one
// of its own and leaves the machine's as it is.
const migrateReq = "/proc/sys/net/ipv4/tcp_migrate_req"

func prepareMigrate() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := os.WriteFile(migrateReq, []byte("1\n"), 0o644); err != nil {
		return fmt.Errorf("set net.ipv4.tcp_migrate_req (Linux 5.14 or later): %w", err)
	}
	return nil
}
