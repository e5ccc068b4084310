package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"
)

// readAnnouncements turns the ready lines of all processes into announcements
// and passes any other line on.
func (f *fleet) readAnnouncements(stdout io.Reader, progress io.Writer) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		pid, generation, ok := parseReady(lines.Text())
		if !ok {
			fmt.Fprintf(progress, "%s: %s\n", f.method.name, lines.Text())
			continue
		}
		// This opens a pidfd, so a later signal cannot reach another process.
		p, err := os.FindProcess(pid)
		if err != nil {
			fmt.Fprintf(progress, "%s: pid %d got ready, but: %v\n", f.method.name, pid, err)
			continue
		}
		f.announcements <- newProcess(p, generation)
	}
}

func parseReady(line string) (pid, generation int, ok bool) {
	var url string
	n, err := fmt.Sscanf(line, "ready %s pid=%d generation=%d", &url, &pid, &generation)
	return pid, generation, err == nil && n == 3 && pid > 0
}

func copyLines(to io.Writer, prefix string, from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		fmt.Fprintf(to, "%s%s\n", prefix, lines.Text())
	}
}

// A lockedWriter is one that several goroutines may use.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

var _ io.Writer = (*lockedWriter)(nil)

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
