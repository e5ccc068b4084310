//go:build !linux

package handoff

import "os"

var handledSignals = []os.Signal{os.Interrupt}

func isStop(os.Signal) bool { return true }

func sharesHalf(os.Signal) bool { return false }
