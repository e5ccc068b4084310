package reuseport

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// idle reports whether nothing waits in a listening TCP socket, finished or not.
// Where that cannot be told, it is no.
//
// Each handshake holds a reference to the listener that received its SYN, until
// accept(2) takes the connection (inet_reqsk_alloc and inet_csk_accept in
// net/ipv4, since Linux 4.4), and the file holds one. /proc/net/tcp shows their
// number, for this socket alone and without the walk through all connections that
// sock_diag takes.
func idle(addr netip.Addr, inode uint64) bool {
	table := "/proc/thread-self/net/tcp"
	if !addr.Is4() {
		table += "6"
	}
	n, err := references(table, inode)
	return n == 1 && err == nil
}

// references looks a listening socket up in a table of proc_pid_net(5).
func references(table string, inode uint64) (int, error) {
	f, err := os.Open(table)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	// Those that listen come first. A larger buffer would be filled with others.
	lines := bufio.NewReaderSize(f, 256)
	for header := true; ; header = false {
		line, err := lines.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("reuseport: inode %d is not in %s: %w", inode, table, err)
		}
		const state, inodes, refs, listening = 3, 9, 10, "0A"
		fields := strings.Fields(line)
		switch {
		case header:
		case len(fields) <= refs || fields[state] != listening:
			return 0, fmt.Errorf("reuseport: inode %d does not listen in %s", inode, table)
		case fields[inodes] == strconv.FormatUint(inode, 10):
			return strconv.Atoi(fields[refs])
		}
	}
}
