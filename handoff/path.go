package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graceport/graceport/reuseport"
)

// ownSuffix names the socket of a generation beside the path, for as long as
// the generation lives: so the path can be led back to it.
func ownSuffix(generation int) string { return fmt.Sprintf("gen-%d", generation) }

func (g *Generation) listenPath(ctx context.Context, network, path string, o *ListenOptions) (*listener, net.Listener, error) {
	if o.Sockets > 1 {
		return nil, nil, fmt.Errorf("%d sockets: a path leads to one socket", o.Sockets)
	}
	there, err := reuseport.ListeningUnix(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range there {
		if pid, command, ok := s.Owner(); !g.knownInode(s.Inode) && (!ok || !g.silentPredecessor(pid)) {
			return nil, nil, strangerOf(path, pid, command)
		}
	}
	l := &listener{name: g.listenerName(o.Name, network, path), network: network}
	l.path, err = reuseport.ListenUnix(ctx, network, path, &reuseport.UnixOptions{
		Own: ownSuffix(g.number), Mode: o.Mode, ListenConfig: o.ListenConfig,
	})
	if err != nil {
		return nil, nil, err
	}
	l.sockets = l.path
	g.removeDead(l.Addr().String())
	if len(there) == 0 { // like a TCP address: what comes before Ready waits
		if err := l.path.Take(); err != nil {
			l.Close()
			return nil, nil, err
		}
	}
	return l, l.path, nil
}

// removeDead removes the names beside the path of generations that died.
func (g *Generation) removeDead(path string) {
	names, _ := filepath.Glob(globEscape(path) + ".gen-*") // the pattern is well-formed
	living, err := g.dir.generations()
	if err != nil {
		return
	}
	for _, name := range names {
		suffix := strings.TrimSuffix(strings.TrimPrefix(name, path+"."), "~") // of one that was moving the path
		n, ok := generationOf(suffix + ".sock")
		if ok && n != g.number && !slices.Contains(living, n) {
			os.Remove(name) // an error: somebody was faster
		}
	}
}

var globEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace

// takePaths leads every path to our own sockets.
func (g *Generation) takePaths() error {
	var errs []error
	for _, l := range g.listeners {
		if l.path != nil && l.Open() > 0 {
			errs = append(errs, l.path.Take())
		}
	}
	return errors.Join(errs...)
}

// givePathsBack leads every path to the predecessor's socket that it led to
// before.
func (g *Generation) givePathsBack() error {
	var errs []error
	for _, l := range g.listeners {
		if l.path != nil && slices.ContainsFunc(g.welcome.Listeners, l.sameAddress) {
			errs = append(errs, l.path.Give(ownSuffix(g.loop.upperGen)))
		}
	}
	return errors.Join(errs...)
}
