package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

type peerProgram struct{ name, library string }

// peerPrograms are the servers in bench/peers, by the libraries of others.
var peerPrograms = []peerProgram{
	{"tableflip", "github.com/cloudflare/tableflip"},
	{"grace", "github.com/facebookgo/grace"},
	{"endless", "github.com/fvbock/endless"},
	{"overseer", "github.com/jpillora/overseer"},
}

const howToBuildPeers = `build it: go build -o DIR ./bench/peers/... in a checkout of graceport, then add -peers DIR`

// PeersIn returns the executable files of a directory as peers, each by its
// name. It is an error if there is none.
func PeersIn(dir string) ([]Peer, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("bench: peers: %w; %s", err, howToBuildPeers)
	}
	var peers []Peer
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		fi, err := os.Stat(path) // of what a link leads to
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("bench: peers: %w", err)
		}
		if !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 == 0 {
			continue
		}
		if path == e.Name() {
			path = "." + string(filepath.Separator) + path // or it is looked up in $PATH
		}
		p := Peer{Name: e.Name(), Command: []string{path}}
		if err := p.check(); err != nil {
			return nil, err
		}
		peers = append(peers, p)
	}
	if len(peers) == 0 {
		return nil, fmt.Errorf("bench: peers: no executable file in %s; %s", dir, howToBuildPeers)
	}
	return peers, nil
}

// absent are the peer programs that are not among peers.
func absent(peers []Peer) []peerProgram {
	return slices.DeleteFunc(slices.Clone(peerPrograms), func(program peerProgram) bool {
		return slices.ContainsFunc(peers, func(p Peer) bool { return p.Name == program.name })
	})
}
