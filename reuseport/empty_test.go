package reuseport

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// script is a kernel whose handshakes finish, and whose queue is read, at
// given times.
type script struct {
	tells bool // by the socket's references what is left

	start    time.Time
	finishes map[Handshake]time.Duration
	arrives  map[Handshake]time.Duration // begun later than the others
	readAt   time.Duration               // everything in the queue is accepted here
	settled  int
}

func (s *script) run(ctx context.Context) (Left, error) {
	s.start = time.Now()
	halfOpen := func() (out []Handshake) {
		for h, end := range s.finishes {
			if since := time.Since(s.start); since >= s.arrives[h] && since < end {
				out = append(out, h)
			}
		}
		return out
	}
	read := func() bool { return time.Since(s.start) >= s.readAt }
	e := &emptying{
		settle: func(ctx context.Context) error {
			s.settled++
			p := pause{10 * time.Millisecond}
			return p.wait(ctx)
		},
		idle:     func() bool { return s.tells && read() && len(halfOpen()) == 0 },
		halfOpen: func(context.Context) ([]Handshake, error) { return halfOpen(), nil },
		queued: func() (int, error) {
			if read() {
				return 0, nil
			}
			return 3, nil
		},
	}
	return e.run(ctx)
}

func handshake(cookie uint64) Handshake { return Handshake{Cookie: cookie} }

func TestEmptyWaits(t *testing.T) {
	tests := []struct {
		name        string
		script      script
		least, most time.Duration
	}{
		{"for nothing", script{}, 27 * time.Millisecond, 27 * time.Millisecond},
		{
			"for a handshake",
			script{finishes: map[Handshake]time.Duration{handshake(1): time.Second}},
			time.Second + 10*time.Millisecond, time.Second + 10*time.Millisecond + lastLook,
		},
		{
			"for the last of several",
			script{finishes: map[Handshake]time.Duration{handshake(1): time.Second, handshake(2): 2 * time.Second}},
			2 * time.Second, 2*time.Second + 10*time.Millisecond + lastLook,
		},
		{
			"for the queue",
			script{readAt: 3 * time.Second},
			3 * time.Second, 3*time.Second + lastLook,
		},
		{
			"not for a handshake begun later",
			script{
				finishes: map[Handshake]time.Duration{handshake(1): time.Second, handshake(2): time.Hour},
				arrives:  map[Handshake]time.Duration{handshake(2): 500 * time.Millisecond},
			},
			time.Second, time.Second + 10*time.Millisecond + lastLook,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := tt.script
				told.tells = true
				left, err := told.run(t.Context())
				if took := time.Since(told.start); err != nil || left != (Left{}) || took > tt.most {
					t.Errorf("told by the socket: left %+v, %v, after %v, want nothing after %v at most", left, err, took, tt.most)
				}
				left, err = tt.script.run(t.Context())
				took := time.Since(tt.script.start)
				if err != nil || left != (Left{}) {
					t.Errorf("left %+v, %v, want nothing", left, err)
				}
				if took < tt.least || took > tt.most {
					t.Errorf("took %v, want %v to %v", took, tt.least, tt.most)
				}
				if tt.script.settled != 2 {
					t.Errorf("settled %d times, want before the first look and before the queue", tt.script.settled)
				}
			})
		})
	}
}

// When ctx ends, what is left is told, wherever the wait was.
func TestEmptyExpires(t *testing.T) {
	tests := []struct {
		name    string
		script  script
		timeout time.Duration
		want    Left
	}{
		{
			"while handshakes are left",
			script{
				finishes: map[Handshake]time.Duration{handshake(1): time.Hour, handshake(2): time.Millisecond, handshake(3): time.Hour},
				readAt:   time.Hour,
			},
			time.Second, Left{Queued: 3, HalfOpen: 2},
		},
		{"while the queue is not empty", script{readAt: time.Hour}, time.Second, Left{Queued: 3}},
		{
			"while it settles",
			script{finishes: map[Handshake]time.Duration{handshake(1): time.Hour}, readAt: time.Hour},
			time.Millisecond, Left{Queued: 3, HalfOpen: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				left, err := tt.script.run(ctx)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error is %v, want the one of ctx", err)
				}
				if left != tt.want {
					t.Errorf("left %+v, want %+v", left, tt.want)
				}
				if took := time.Since(tt.script.start); took != tt.timeout {
					t.Errorf("took %v, want %v", took, tt.timeout)
				}
			})
		})
	}
}
