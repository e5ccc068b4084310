package bench

import (
	"bufio"
	"os"
	"os/exec"
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
