package main

import (
	"errors"
	"flag"

	"github.com/graceport/graceport/bench"
)

// targetFlags describe a service of the user's own.
type targetFlags struct{ bench.Target }

func (f *targetFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.Start, "target", "", "measure your own service instead: the shell `command` that starts it")
	fs.StringVar(&f.Restart, "restart", "", "the shell `command` that restarts the target")
	fs.StringVar(&f.Stop, "stop", "", "the shell `command` that stops the target (default: TERM to what -target left running)")
	fs.StringVar(&f.Addr, "addr", "", "`HOST:PORT` where the target serves HTTP")
	fs.StringVar(&f.Path, "path", "/", "`path` that the target answers to GET with 200")
	fs.StringVar(&f.GenerationHeader, "generation-header", "", "`name` of a response header that changes with each restart of the target, such as a pid")
}

// target is nil if there is none.
func (f *targetFlags) target() (*bench.Target, error) {
	if f.Start == "" {
		if f.Restart != "" || f.Stop != "" || f.Addr != "" || f.GenerationHeader != "" {
			return nil, errors.New("-restart, -stop, -addr and -generation-header go with -target")
		}
		return nil, nil
	}
	if f.Restart == "" || f.Addr == "" {
		return nil, errors.New("-target needs -restart 'COMMAND' and -addr HOST:PORT")
	}
	return &f.Target, nil
}
