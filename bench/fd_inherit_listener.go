package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// listenerEnv is the environment variable that describes the listener a child
// inherits.
const listenerEnv = "LISTENER"

// firstInherited is the first descriptor after stdin, stdout and stderr.
const firstInherited = 3

// inherited describes a listening descriptor, as JSON in listenerEnv.
type inherited struct {
	Addr       string `json:"addr"`
	FD         int    `json:"fd"`
	Name       string `json:"filename"`
	Generation int    `json:"generation"`
}

// exportListener returns env with in as its only description of a listener:
// of two values, a child would read the older one.
func exportListener(env []string, in inherited) ([]string, error) {
	meta, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, listenerEnv+"=") })
	return append(env, listenerEnv+"="+string(meta)), nil
}

// importListener turns the inherited descriptor into a listener.
func importListener(meta string) (net.Listener, *inherited, error) {
	var in inherited
	if err := json.Unmarshal([]byte(meta), &in); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", listenerEnv, err)
	}
	file := os.NewFile(uintptr(in.FD), in.Name)
	if file == nil {
		return nil, nil, fmt.Errorf("read %s: no descriptor %d", listenerEnv, in.FD)
	}
	defer file.Close()
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, nil, fmt.Errorf("listener from descriptor %d: %w", in.FD, err)
	}
	return ln, &in, nil
}

// inheritOrListen takes the parent's listener and counts on from its
// generation, or makes the first listener.
func (s *service) inheritOrListen(ctx context.Context) (net.Listener, error) {
	meta, ok := os.LookupEnv(listenerEnv)
	if !ok {
		return s.listen(ctx, nil)
	}
	ln, in, err := importListener(meta)
	if err != nil {
		return nil, err
	}
	if in.Addr != s.addr {
		ln.Close()
		return nil, fmt.Errorf("inherited a listener for %q, want %q; unset %s to listen anew", in.Addr, s.addr, listenerEnv)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	s.generation = in.Generation
	s.warmUp()
	return ln, nil
}
