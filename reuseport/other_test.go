//go:build !linux

package reuseport

import (
	"errors"
	"testing"
)

func TestUnsupported(t *testing.T) {
	if _, err := Listen(t.Context(), "tcp", "127.0.0.1:0", nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Listen: %v, want errors.ErrUnsupported", err)
	}
	if _, err := ListenPacket(t.Context(), "udp", "127.0.0.1:0", nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ListenPacket: %v, want errors.ErrUnsupported", err)
	}
	if _, err := Listening(t.Context(), "tcp", 80); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Listening: %v, want errors.ErrUnsupported", err)
	}
	if _, err := Probe(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Probe: %v, want errors.ErrUnsupported", err)
	}
}
