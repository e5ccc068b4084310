package supervise

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff/sdnotify"
)

// tellSignals prints each signal, and ends with 7 on the second TERM.
func tellSignals() {
	exitAtEOF()
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, forwarded...)
	fmt.Println("listener pid", os.Getpid())
	for terms := 0; terms < 2; {
		sig := <-signals
		fmt.Println("listener got", sig)
		if sig == syscall.SIGTERM {
			terms++
		}
	}
	os.Exit(7)
}

// handOver is a service that replaces itself: USR1 starts the next generation
// and names it as main, USR2 starts one without naming it, HUP ends with the
// generation's number, QUIT crashes.
func handOver() {
	exitAtEOF()
	number := 1
	if len(os.Args) > 1 {
		number, _ = strconv.Atoi(os.Args[1])
	}
	manager, err := sdnotify.New()
	if err != nil || manager == nil {
		fmt.Println("no manager:", err)
		os.Exit(96)
	}
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT)
	fmt.Println("ready", number, os.Getpid())
	for sig := range signals {
		fmt.Println("generation", number, "got", sig)
		switch sig {
		case syscall.SIGHUP:
			os.Exit(number)
		case syscall.SIGQUIT:
			os.Exit(50 + number)
		}
		next := exec.Command(os.Args[0], strconv.Itoa(number+1))
		next.Stdin, next.Stdout = os.Stdin, os.Stdout
		if err := next.Start(); err != nil {
			fmt.Println(err)
			os.Exit(95)
		}
		if sig == syscall.SIGUSR1 {
			if err := manager.Notify("MAINPID="+strconv.Itoa(next.Process.Pid), "READY=1"); err != nil {
				fmt.Println(err)
				os.Exit(94)
			}
		}
	}
}

// leaveChild ends and leaves a child.
func leaveChild() {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), testRole+"=listener")
	child.Stdin, child.Stdout = os.Stdin, os.Stdout
	if err := child.Start(); err != nil {
		fmt.Println(err)
		os.Exit(95)
	}
	os.Exit(3)
}

func TestSignalsAreForwardedAsTheyCome(t *testing.T) {
	p := play(t, "listener")
	p.number("listener pid")
	for _, f := range forwarded {
		if f != syscall.SIGTERM {
			p.signal(f.(syscall.Signal))
			p.says("listener got " + f.String())
		}
	}
	for range 2 {
		p.signal(syscall.SIGTERM)
		p.says("listener got terminated")
	}
	p.wantStatus(7)
}

func TestStatusOfASignal(t *testing.T) {
	p := play(t, "listener")
	kill(t, p.number("listener pid"), syscall.SIGKILL)
	p.wantStatus(128 + 9)
}

// Nobody named it, but it is the newest of those that are left.
func TestTheNewestFollows(t *testing.T) {
	p := play(t, "parent")
	p.number("listener pid")
	p.says("main process ended", "status=3")
	p.says(`"main process"`)
	p.signal(syscall.SIGTERM)
	p.says("listener got terminated")
	p.signal(syscall.SIGTERM)
	p.wantStatus(7)
}

// Who was not named gets nothing while the one before lives.
func TestAnUnnamedSuccessorWaits(t *testing.T) {
	p := play(t, "generations")
	p.number("ready 1")
	p.signal(syscall.SIGUSR2)
	second := p.number("ready 2")
	p.signal(syscall.SIGHUP)
	p.says("generation 1 got hangup")
	p.says(`"main process"`, fmt.Sprintf("pid=%d ", second))
	p.signal(syscall.SIGHUP)
	p.wantStatus(2)
}

// Who was named gets the signals at once, and its status is the last word even
// if an older one drains longer.
func TestMainPID(t *testing.T) {
	p := play(t, "generations")
	p.number("ready 1")
	p.signal(syscall.SIGUSR1)
	second := p.number("ready 2")
	p.says(`"main process"`, fmt.Sprintf("pid=%d ", second))
	p.signal(syscall.SIGUSR1)
	third := p.number("ready 3")
	p.says(`"main process"`, fmt.Sprintf("pid=%d ", third))
	kill(t, second, syscall.SIGHUP) // whoever named it has ended, so it is our child
	p.says("generation 2 got hangup")
	p.signal(syscall.SIGQUIT)
	p.says("generation 3 got quit")
	p.says("main process ended", "status=53")
	p.signal(syscall.SIGHUP)
	p.says("generation 1 got hangup")
	p.wantStatus(53)
}

// A main process whose parent still lives has ended all the same.
func TestMainEndsBeforeItsParent(t *testing.T) {
	p := play(t, "generations")
	p.number("ready 1")
	p.signal(syscall.SIGUSR1)
	second := p.number("ready 2")
	p.says(`"main process"`, fmt.Sprintf("pid=%d ", second))
	p.signal(syscall.SIGQUIT)
	p.says("generation 2 got quit")
	dead := func() bool {
		s, err := statOf(second)
		return err != nil || s.dead()
	}
	for tick, deadline := time.Tick(time.Millisecond), time.After(patience); !dead(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatal("generation 2 did not end")
		}
	}
	p.signal(syscall.SIGHUP)
	p.says("generation 1 got hangup")
	p.wantStatus(52)
}

// Whoever supervises us hears what the service says, but for who is main: to
// it that is us.
func TestOurManagerIsTold(t *testing.T) {
	name := "@supervise-test/" + rand.Text()
	socket, err := sdnotify.Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	p := playUnder(t, name, "generations", Options{})
	p.number("ready 1")
	p.signal(syscall.SIGUSR1)
	second := p.number("ready 2")
	p.says(`"main process"`, fmt.Sprintf("pid=%d ", second))
	m, err := socket.Receive()
	if err != nil || m.PID != p.cmd.Process.Pid || !slices.Equal(m.Fields, []string{"READY=1"}) {
		t.Errorf("%+v, %v", m, err)
	}
	kill(t, p.cmd.Process.Pid, syscall.SIGHUP)
	p.says("generation 2 got hangup")
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}
