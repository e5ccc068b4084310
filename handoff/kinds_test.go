package handoff_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/reuseport"
)

// everyKind is an address of each kind of socket that can be taken over.
func everyKind(t *testing.T) []string {
	dir := newService(t).Dir
	addrs := []string{
		"unix=" + filepath.Join(dir, "stream"), "unixpacket=" + filepath.Join(dir, "packet"),
		"127.0.0.1:0", "udp4=127.0.0.1:0",
	}
	if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Logf("without IPv6: %v", err)
	} else {
		ln.Close()
		addrs = append(addrs, "tcp6=[::1]:0", "[::]:0", "udp6=[::1]:0", "udp=[::]:0")
	}
	return addrs
}

// dialled is where clients find those addresses: of one that takes both
// families, both.
func dialled(addrs []string) []string {
	var out []string
	for _, addr := range addrs {
		if network, port, both := strings.Cut(addr, "[::]:"); both {
			out = append(out, network+"127.0.0.1:"+port, network+"[::1]:"+port)
		} else {
			out = append(out, addr)
		}
	}
	return out
}

// takeovers is how many are made of every kind of socket, under load.
const takeovers = 50

func TestEveryKindOfSocket(t *testing.T) {
	c := newService(t)
	c.Addrs = everyKind(t)
	first := start(t, c)
	addrs := dialled(first.ready().addrs)
	loads := make([]*load, len(addrs))
	for i, addr := range addrs {
		loads[i] = startClients(t, 4, patience, addr)
	}
	for generation := 2; generation <= takeovers+1; generation++ {
		leads(t, c.Dir, generation-1)
		syscall.Kill(leads(t, c.Dir, generation-1).PID, syscall.SIGHUP)
		first.ready()
		for _, l := range loads {
			l.servedBy(generation, 5)
		}
	}
	leads(t, c.Dir, takeovers+1)
	for i, l := range loads {
		l.endWithoutLoss()
		t.Logf("%s: %d answered", addrs[i], l.total())
	}
}

// The control: the same clients notice when the new socket replaces the old
// one and that is closed at once, as is usually done.
func TestNaiveRestartsAreNoticed(t *testing.T) {
	for _, addr := range everyKind(t)[:4] {
		network, _ := endpoint(addr)
		t.Run(network, func(t *testing.T) {
			addr, restart := serveNaively(t, addr)
			l := startClients(t, 16, time.Second, addr)
			generation := 1
			for deadline := time.Now().Add(patience); len(l.lost()) == 0 && time.Now().Before(deadline); {
				l.servedBy(generation, 20)
				restart()
				generation++
			}
			if len(l.end()) == 0 {
				t.Errorf("nothing was lost in %d restarts", generation-1)
			}
		})
	}
}

// serveNaively answers on an address until the test ends. restart replaces the
// socket.
func serveNaively(t *testing.T, addr string) (at string, restart func()) {
	network, address := endpoint(addr)
	generation := 0
	var old io.Closer
	restart = func() {
		generation++
		number, former := generation, old
		var ln net.Listener
		var conn *reuseport.PacketConn
		var err error
		switch network {
		case "tcp":
			ln, err = reuseport.Listen(t.Context(), network, address, nil)
		case "udp4":
			conn, err = reuseport.ListenPacket(t.Context(), network, address, nil)
		default:
			os.Remove(address)
			if ln, err = net.Listen(network, address); err == nil {
				ln.(*net.UnixListener).SetUnlinkOnClose(false)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if conn != nil {
			address, old = conn.LocalAddr().String(), conn
			go answerDatagrams(conn, number)
		} else {
			address, old = ln.Addr().String(), ln
			if network == "unixpacket" {
				go answerMessages(ln, number)
			} else {
				go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, number) }))
			}
		}
		if former != nil {
			former.Close()
		}
	}
	restart()
	t.Cleanup(func() { old.Close() })
	return network + "=" + address, restart
}

// A service that is stopped for good refuses what comes after, and loses
// nothing that it let in.
func TestLastGenerationStops(t *testing.T) {
	for range 10 {
		c := newService(t)
		first := start(t, c)
		l := startLoad(t, first.ready().addrs...)
		l.servedBy(1, 500)
		first.signal(syscall.SIGTERM)
		if status := first.wait(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		var cut []loss
		for _, x := range l.end() {
			if !errors.Is(x.err, syscall.ECONNREFUSED) {
				cut = append(cut, x)
			}
		}
		if len(cut) > 0 {
			t.Errorf("%d of %d were let in and cut: %s", len(cut), l.total(), summary(cut))
		}
	}
}
