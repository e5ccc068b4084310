package handoff_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// dialTakeover begins a takeover conversation with the leader.
func dialTakeover(t *testing.T, dir string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(dir, "leader"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "POST /v1/takeover HTTP/1.1\r\nHost: graceport\r\nConnection: Upgrade\r\nUpgrade: graceport/1\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("takeover: %s", resp.Status)
	}
	return conn, r
}

func TestConversationWithNonsense(t *testing.T) {
	const hello = `{"type":"hello","protocol":1,"generation":9}` + "\n"
	endless := strings.Repeat("a", 3<<20)
	for _, x := range []struct{ name, send string }{
		{"garbage", "\x00\xff\x17garbage\n"},
		{"garbage after hello", hello + "]]]\n"},
		{"an endless line", endless},
		{"an endless line after hello", hello + endless},
		{"no hello", `{"type":"leading"}` + "\n"},
		{"a future protocol", `{"type":"hello","protocol":77}` + "\n"},
		{"a type that is none", hello + `{"type":17}` + "\n"},
		{"half a line", hello + `{"type":`},
		{"a share out of range", hello + `{"type":"alive","share":70000}` + "\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := newService(t)
			a := start(t, c).ready()
			l := startLoad(t, a.addrs...)
			l.servedBy(1, 20)
			conn, r := dialTakeover(t, c.Dir)
			go func() {
				io.WriteString(conn, x.send)
				conn.(*net.UnixConn).CloseWrite()
			}()
			var last string
			for s := bufio.NewScanner(r); s.Scan(); {
				last = s.Text()
			}
			if x.name != "half a line" && x.name != "garbage" && x.name != "an endless line" && !strings.Contains(last, `"refused"`) {
				t.Errorf("the last answer is %.200q, want a refusal", last)
			}
			if x.name == "a future protocol" && !strings.Contains(last, `"protocols":[1]`) {
				t.Errorf("the refusal does not name the known protocols: %s", last)
			}
			leads(t, c.Dir, 1)
			c.Addrs = a.addrs
			start(t, c).ready()
			l.servedBy(2, 20)
			l.endWithoutLoss()
		})
	}
}

// A peer that says nothing, or reads nothing, holds up nobody.
func TestSlowPeers(t *testing.T) {
	c := newService(t)
	c.Step = 500 * time.Millisecond
	a := start(t, c).ready()
	l := startLoad(t, a.addrs...)
	conns := make([]net.Conn, 1000)
	for i := range conns {
		conn, err := net.Dial("unix", filepath.Join(c.Dir, "leader"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
		if i%2 == 0 {
			io.WriteString(conn, "POST /v1/take")
		}
	}
	conn, _ := dialTakeover(t, c.Dir) // never says hello
	defer conn.Close()
	if _, err := statusOf(c.Dir, "leader"); err != nil {
		t.Errorf("status with 1000 idle connections: %v", err)
	}
	c.Addrs = a.addrs
	start(t, c).ready()
	l.servedBy(2, 20)
	l.endWithoutLoss()
}

func TestDirectoryRefused(t *testing.T) {
	base, err := os.MkdirTemp("", "graceport")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	mkdir := func(name string, mode fs.FileMode) string {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(mkdir("target", 0o700), link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := "/"
	if os.Geteuid() == 0 {
		foreign = mkdir("foreign", 0o700)
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct{ name, path, want string }{
		{"none", "", "Config.Dir is empty"},
		{"others may write", mkdir("open", 0o777), "others may write"},
		{"the group may write", mkdir("group", 0o770), "others may write"},
		{"the parent is open", filepath.Join(mkdir("parent", 0o777), "d"), "others may write"},
		{"a symlink", link, "is a symlink"},
		{"a file", file, "is not a directory"},
		{"no parent", filepath.Join(base, "no", "d"), "no such file"},
		{"too long", filepath.Join(base, strings.Repeat("x", 100)), "too long"},
		{"another owner", foreign, "belongs to uid"},
	} {
		t.Run(x.name, func(t *testing.T) {
			g, err := handoff.Open(t.Context(), handoff.Config{Dir: x.path})
			if err == nil {
				g.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q in it", err, x.want)
			}
		})
	}
	g, err := handoff.Open(t.Context(), handoff.Config{Dir: filepath.Join(mkdir("sticky", 0o777|fs.ModeSticky), "d")})
	if err != nil {
		t.Errorf("below a directory like /tmp: %v", err)
	} else {
		g.Close()
	}
}

// Another user's process is not heard, even if it can reach the socket.
func TestWrongUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	c := newService(t)
	a := start(t, c).ready()
	if err := errors.Join(os.Chmod(c.Dir, 0o755), os.Chmod(filepath.Join(c.Dir, "gen-1.sock"), 0o777)); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reachable := filepath.Join(c.Dir, "reach") // the test binary's folder is closed to others
	copyFile(t, reachable, exe)
	cmd := exec.Command(reachable)
	cmd.Env = []string{reachEnv + "=" + filepath.Join(c.Dir, "gen-1.sock")}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != "connected, no answer" {
		t.Errorf("another user got %q", got)
	}
	if st := leads(t, c.Dir, 1); st.PID != a.pid {
		t.Errorf("pid %d leads", st.PID)
	}
}

const reachEnv = "GRACEPORT_TEST_REACH"

// reach asks for status over a socket and prints how that went.
func reach(path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	io.WriteString(conn, "GET /v1/status HTTP/1.0\r\n\r\n")
	b, _ := io.ReadAll(conn)
	if len(b) == 0 {
		os.Stdout.WriteString("connected, no answer")
		return
	}
	os.Stdout.Write(b)
}

// curl, or any HTTP client, can be the operator.
func TestStatusIsPlainHTTP(t *testing.T) {
	c := newService(t)
	a := start(t, c).ready()
	resp, err := controlClient(filepath.Join(c.Dir, "gen-1.sock")).Get("http://graceport/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var st map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		t.Fatal(err)
	}
	if st["pid"] != float64(a.pid) || st["state"] != "leading" || st["leader"] != true {
		t.Errorf("%v", st)
	}
}
