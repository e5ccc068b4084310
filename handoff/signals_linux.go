package handoff

import (
	"os"
	"syscall"
)

var handledSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}

func isStop(s os.Signal) bool { return s != syscall.SIGHUP && s != syscall.SIGUSR2 }

func sharesHalf(s os.Signal) bool { return s == syscall.SIGUSR2 }
