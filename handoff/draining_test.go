package handoff_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/drain"
)

// held is a connection whose request is under way until release.
type held struct {
	conn net.Conn
	t    *testing.T
}

func hold(t *testing.T, addr string) *held {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo"); err != nil {
		t.Fatal(err)
	}
	return &held{conn, t}
}

// release ends the request, which must be answered by that generation.
func (h *held) release(generation int) {
	h.t.Helper()
	var by int
	_, err := io.WriteString(h.conn, "dy")
	if err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(bufio.NewReader(h.conn), nil); err == nil {
			_, err = fmt.Fscan(resp.Body, &by)
		}
	}
	if err != nil || by != generation {
		h.t.Errorf("the request that generation %d held was answered by %d, %v", generation, by, err)
	}
	h.conn.Close()
}

// cut waits until the generation has closed the connection without an answer.
func (h *held) cut() {
	h.t.Helper()
	if n, err := h.conn.Read(make([]byte, 1)); n > 0 || err == nil || os.IsTimeout(err) {
		h.t.Errorf("read %d bytes, %v; want a connection that was closed", n, err)
	}
}

// draining lists the generations that drain with one active connection, the
// newest first.
func draining(t *testing.T, dir string) (generations []int) {
	t.Helper()
	all, err := operator(t, dir).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range all {
		var s drain.Snapshot
		if err := json.Unmarshal(st.Connections, &s); err == nil && st.State == "draining" && s.Draining && s.Open == (drain.States{Active: 1}) {
			generations = append(generations, st.Generation)
		}
	}
	return generations
}

func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if slices.Sort(want); !slices.Equal(names, want) {
		t.Errorf("the directory holds %q, want %q", names, want)
	}
}

func TestTenGenerationsDrain(t *testing.T) {
	c := newService(t)
	c.Drain = 2 * patience
	processes := []*process{start(t, c)}
	c.Addrs = processes[0].ready().addrs
	l := startLoad(t, c.Addrs...)
	var connections []*held
	const old = 10
	for generation := 1; generation <= old; generation++ {
		connections = append(connections, hold(t, c.Addrs[0]))
		p := start(t, c)
		processes = append(processes, p)
		p.ready()
		leads(t, c.Dir, generation+1)
		l.servedBy(generation+1, 50)
	}
	l.endWithoutLoss()
	want := []int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	eventually(t, "all old generations drain their one connection", func() bool {
		return slices.Equal(draining(t, c.Dir), want)
	})
	leads(t, c.Dir, old+1)
	for i, h := range connections {
		h.release(i + 1)
	}
	for i, p := range processes[:old] {
		if code := p.wait(); code != 0 {
			t.Errorf("generation %d: exit status %d", i+1, code)
		}
	}
	onlyFiles(t, c.Dir, "lock", "leader", "gen-11.sock")
	processes[old].signal(syscall.SIGTERM)
	if code := processes[old].wait(); code != 0 {
		t.Errorf("the leader: exit status %d", code)
	}
	onlyFiles(t, c.Dir, "lock", "leader")
}

func TestMaxDraining(t *testing.T) {
	c := newService(t)
	c.Drain, c.MaxDraining = 2*patience, 2
	processes := []*process{start(t, c)}
	c.Addrs = processes[0].ready().addrs
	var connections []*held
	for generation := 2; generation <= 6; generation++ {
		connections = append(connections, hold(t, c.Addrs[0]))
		p := start(t, c)
		processes = append(processes, p)
		p.ready()
		leads(t, c.Dir, generation)
		if oldest := generation - 3; oldest > 0 {
			connections[oldest-1].cut()
			processes[oldest-1].wait()
		}
		want := []int{generation - 1, generation - 2}[:min(2, generation-1)]
		eventually(t, fmt.Sprintf("generations %v drain", want), func() bool { return slices.Equal(draining(t, c.Dir), want) })
	}
	for _, generation := range []int{4, 5} {
		connections[generation-1].release(generation)
		if code := processes[generation-1].wait(); code != 0 {
			t.Errorf("generation %d: exit status %d", generation, code)
		}
	}
	onlyFiles(t, c.Dir, "lock", "leader", "gen-6.sock")
}

func TestServiceStop(t *testing.T) {
	c := newService(t)
	c.Drain = 2 * patience
	stop := func(generation int, now bool) {
		t.Helper()
		if err := operator(t, c.Dir).Stop(t.Context(), generation, now); err != nil {
			t.Error(err)
		}
	}
	first := start(t, c)
	c.Addrs = first.ready().addrs
	ofFirst := hold(t, c.Addrs[0])
	second := start(t, c)
	second.ready()
	leads(t, c.Dir, 2)
	ofSecond := hold(t, c.Addrs[0])

	if err := operator(t, c.Dir).Stop(t.Context(), 7, false); err == nil || !strings.Contains(err.Error(), "generation 7 does not live") {
		t.Errorf("stop of a generation that does not live: %v", err)
	}
	stop(1, false) // it drains already
	if got := draining(t, c.Dir); !slices.Equal(got, []int{1}) {
		t.Errorf("generations %v drain", got)
	}
	stop(1, true)
	ofFirst.cut()
	if code := first.wait(); code != 0 {
		t.Errorf("stopped now, as it was asked to: exit status %d", code)
	}

	stop(0, false)
	eventually(t, "the leader drains", func() bool { return slices.Equal(draining(t, c.Dir), []int{2}) })
	if conn, err := net.Dial("tcp", c.Addrs[0]); err == nil {
		conn.Close()
		t.Error("a connection after the stop is not refused")
	}
	ofSecond.release(2)
	if code := second.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}

	third := start(t, c)
	third.ready()
	ofThird := hold(t, c.Addrs[0])
	stop(3, true)
	ofThird.cut()
	third.wait()
	onlyFiles(t, c.Dir, "lock", "leader")
}
