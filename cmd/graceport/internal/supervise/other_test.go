//go:build !linux

package supervise

import (
	"context"
	"errors"
	"testing"
)

func TestUnsupported(t *testing.T) {
	if _, err := Run(context.Background(), &Options{Command: []string{"true"}}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
