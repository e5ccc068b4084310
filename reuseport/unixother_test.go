//go:build !linux

package reuseport

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestUnixUnsupported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if _, err := ListenUnix(t.Context(), "unix", path, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ListenUnix: %v, want errors.ErrUnsupported", err)
	}
	if _, err := ListeningUnix(t.Context(), path); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ListeningUnix: %v, want errors.ErrUnsupported", err)
	}
}
