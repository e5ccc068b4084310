package bench

import (
	"bufio"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"testing"
)

// A driver that is killed cannot end its servers, so they watch it.
func TestServerEndsWithItsDriver(t *testing.T) {
	driver := exec.Command("sleep", "60")
	if err := driver.Start(); err != nil {
		t.Skip(err)
	}
	server := exec.Command(os.Args[0], "stop-start", "-addr", "127.0.0.1:0")
	server.Env = append(os.Environ(), driverVar+"="+strconv.Itoa(driver.Process.Pid))
	stdout, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if _, _, ok := parseReady(line); !ok {
		t.Errorf("first line %q, %v", line, err)
	}

	_ = driver.Process.Kill()
	_ = driver.Wait()
	p := newProcess(server.Process, 1)
	if err := p.gone(soon(t)); err != nil {
		p.kill()
		t.Error(err)
	}
	stdout.Close()
}

// A process that is somebody else's to wait for leaves no descriptor.
func TestForeignProcessIsLetGo(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close it, some time
	before := openDescriptors()
	foreign, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(foreign, 0)
	if err := p.ended(soon(t)); err == nil {
		t.Fatal("we waited for ourselves")
	}
	if now := openDescriptors(); now > before {
		t.Errorf("%d descriptors, %d before", now, before)
	}
}
