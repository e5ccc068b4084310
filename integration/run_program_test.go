package integration

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// program is a server that graceport did not write.
type program struct {
	address string
	command []string
	stop    string
	set     func(map[string]any) // changes what the next copy reads
}

func python(t *testing.T, config map[string]any) program {
	t.Helper()
	interpreter, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		if interpreter, err = exec.LookPath("python3"); err != nil {
			t.Skipf("no Python: %v", err)
		}
	}
	script, err := filepath.Abs("testdata/serve.py")
	if err != nil {
		t.Fatal(err)
	}
	addresses := freeAddresses(t, 2)
	p := program{address: addresses[0], stop: "TERM"}
	file := filepath.Join(t.TempDir(), "config.json")
	p.set = func(c map[string]any) {
		t.Helper()
		host, port, _ := net.SplitHostPort(addresses[0])
		full := map[string]any{"address": host}
		full["port"], _ = strconv.Atoi(port)
		for k, v := range c {
			full[k] = v
		}
		if full["health"] == true {
			_, port, _ := net.SplitHostPort(addresses[1])
			full["health"], _ = strconv.Atoi(port)
		}
		b, err := json.Marshal(full)
		if err == nil {
			err = os.WriteFile(file, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.set(config)
	p.command = []string{interpreter, "-u", script, file}
	return p
}

func nginx(t *testing.T, workers int, reuseport string) program {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx" // not in an ordinary user's PATH
		if _, err := os.Stat(path); err != nil {
			t.Skipf("no nginx: %v", err)
		}
	}
	template, err := os.ReadFile("testdata/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := program{address: freeAddresses(t, 1)[0], stop: "QUIT"}
	conf := strings.NewReplacer("DIR", dir, "ADDRESS", p.address, "WORKERS", strconv.Itoa(workers), "REUSEPORT", reuseport).Replace(string(template))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	p.command = []string{path, "-e", "stderr", "-c", file}
	return p
}

func (p program) args(flags ...string) []string {
	args := append([]string{"-listen", p.address, "-stop", p.stop}, flags...)
	return append(append(args, "--"), p.command...)
}

func who(t *testing.T, address string) string {
	t.Helper()
	body, err := get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(body)
}
