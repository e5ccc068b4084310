package handoff

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Service is a running service as its operator sees it: through the control
// directory, from another process of the same user, or of root. Its methods may
// be called from several goroutines.
//
// What a generation refuses is told in the text of the error alone: of this
// package's errors only [ErrNoService] and [ErrUpgradeFailed] are matched.
type Service struct {
	dir directory
	// Timeout bounds an answer that needs no work. 0 means 2 s.
	Timeout time.Duration
}

// StateSilent is the State in Status of a generation that has a socket and does
// not answer: it is stopped, or hangs.
const StateSilent = "silent"

// ErrNoService is matched when no generation lives in a control directory, or
// there is no such directory.
var ErrNoService = errors.New("no generation of a service lives there")

// NewService returns the service whose control directory is dir. The error matches
// [ErrNoService] if it does not exist.
func NewService(dir string) (*Service, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("handoff: control directory %s does not exist: %w; is the service started, with this directory?", dir, ErrNoService)
	case err != nil:
		return nil, fmt.Errorf("handoff: control directory: %w", err)
	case !fi.IsDir():
		return nil, fmt.Errorf("handoff: %s is not a directory: name the control directory, not a socket in it", dir)
	}
	return &Service{dir: directory(path)}, nil
}

// Status asks every living generation, the newest first. One that does not answer
// within Timeout has the state [StateSilent] and says why in Error. The error
// matches [ErrNoService] if none lives, fs.ErrPermission if they belong to another
// user, and the error of ctx if that ended.
func (s *Service) Status(ctx context.Context) ([]Status, error) {
	gens, err := s.dir.generations()
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	all := []Status{}
	for _, n := range gens {
		st, err := s.statusOf(ctx, n)
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			continue // dead, and not yet removed
		}
		if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
			return nil, fmt.Errorf("handoff: %w: only the service's user and root may ask it", err)
		}
		if err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("handoff: status: %w", ctx.Err())
		}
		if err != nil {
			st = Status{Generation: n, PID: s.pidOf(n), State: StateSilent, Leader: s.dir.leader() == n, Error: err.Error()}
		}
		all = append(all, st)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("handoff: %s: %w", s.dir, ErrNoService)
	}
	return all, nil
}

func (s *Service) statusOf(ctx context.Context, generation int) (st Status, err error) {
	err = s.call(ctx, generation, http.MethodGet, "/v1/status", nil, func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&st)
	})
	return st, err
}

// pidOf is the process that made a generation's socket, 0 if unknown.
func (s *Service) pidOf(generation int) int {
	conn, err := net.DialTimeout("unix", s.dir.join(socketName(generation)), s.timeout())
	if err != nil {
		return 0
	}
	defer conn.Close()
	peer, err := peerCredentials(conn)
	if err != nil {
		return 0
	}
	return peer.pid
}

// Upgrade has the leader start a successor and waits until that leads for good, as
// Generation.Upgrade does, calling o.Progress for each step, in the caller's
// goroutine. Timeout does not bound it. The upgrade goes on when ctx ends before.
func (s *Service) Upgrade(ctx context.Context, o *UpgradeOptions) error {
	if o == nil {
		o = &UpgradeOptions{}
	}
	leader, err := s.find(ctx, "leads", func(st Status) bool { return st.Leader })
	if err != nil {
		return err
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(s.watch(watched, leader)) }()
	var last Progress
	const unbounded = 0 // the leader has its own deadlines
	err = s.request(watched, unbounded, leader, http.MethodPost, "/v1/upgrade", o, func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
				return err
			}
			if o.Progress != nil {
				o.Progress(last)
			}
		}
		return lines.Err()
	})
	switch {
	case err != nil && watched.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("handoff: %w: %w", ErrUpgradeFailed, context.Cause(watched))
	case err != nil:
		return fmt.Errorf("handoff: upgrade: %w", err)
	case last.Event == "failed":
		return fmt.Errorf("handoff: %w: %s", ErrUpgradeFailed, last.Reason)
	case last.Event != "done":
		return fmt.Errorf("handoff: %w: generation %d ended while it reported", ErrUpgradeFailed, leader)
	}
	return nil
}

// silences in a row are those of a process that is stopped, or hangs.
const silences = 5

// watch returns when a generation does not answer any more, or ctx ends. A
// process that is stopped keeps none of its deadlines.
func (s *Service) watch(ctx context.Context, generation int) error {
	tick := time.NewTicker(s.timeout())
	defer tick.Stop()
	for silent := 0; silent < silences; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		silent++
		if _, err := s.statusOf(ctx, generation); err == nil {
			silent = 0
		}
	}
	return fmt.Errorf("generation %d does not answer any more, and generation %d leads; \"status\" shows what becomes of the upgrade", generation, s.dir.leader())
}

// Share sets the share of the successor that is sharing, in 1/10000 of new
// connections. The rest of its plan is given up: the share stays until it is set
// again, Stop of the leader lets the successor take all, or Rollback gives all
// back.
func (s *Service) Share(ctx context.Context, share int) error {
	generation, err := s.find(ctx, "is sharing", func(st Status) bool { return st.State == phaseSharing.String() })
	if err != nil {
		return err
	}
	return s.call(ctx, generation, http.MethodPost, "/v1/share", Share{Share: share}, nil)
}

// Rollback gives everything back to the predecessor, while a successor shares
// or is in probation. It returns when new connections go there again; its state
// may follow a moment later.
func (s *Service) Rollback(ctx context.Context) error {
	generation, err := s.find(ctx, "shares or is in probation", func(st Status) bool {
		return st.State == phaseSharing.String() || st.State == phaseProbation.String()
	})
	if err != nil {
		return err
	}
	return s.call(ctx, generation, http.MethodPost, "/v1/rollback", nil, nil)
}

// Stop has a generation stop, or the leader if generation is 0, as
// Generation.Stop does, and returns when it has begun to. With now it does not
// wait for its connections, see Generation.DrainNow.
func (s *Service) Stop(ctx context.Context, generation int, now bool) error {
	if generation == 0 {
		var err error
		if generation, err = s.find(ctx, "leads", func(st Status) bool { return st.Leader }); err != nil {
			return err
		}
	}
	err := s.call(ctx, generation, http.MethodPost, "/v1/stop", map[string]bool{"now": now}, nil)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("handoff: generation %d does not live; \"status\" shows what there is", generation)
	}
	return err
}

// find returns the newest generation of which ok holds.
func (s *Service) find(ctx context.Context, what string, ok func(Status) bool) (int, error) {
	all, err := s.Status(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(all, ok)
	if i < 0 {
		return 0, fmt.Errorf("handoff: no generation %s; \"status\" shows what there is", what)
	}
	if all[i].State == StateSilent {
		return 0, fmt.Errorf("handoff: generation %d (pid %d) does not answer: it is stopped or hangs. A new one that is started by hand, with the same control directory, takes over all the same", all[i].Generation, all[i].PID)
	}
	return all[i].Generation, nil
}

func (s *Service) timeout() time.Duration {
	if s.Timeout == 0 {
		return 2 * time.Second
	}
	return s.Timeout
}

// call makes one request to a generation, within Timeout.
func (s *Service) call(ctx context.Context, generation int, method, path string, body any, read func(io.Reader) error) error {
	return s.request(ctx, s.timeout(), generation, method, path, body, read)
}

// request does the same within another timeout; 0 is none.
func (s *Service) request(ctx context.Context, timeout time.Duration, generation int, method, path string, body any, read func(io.Reader) error) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://graceport"+path, &sent)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: timeout, Transport: s.Transport(generation)}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var p problem
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&p); err != nil || p.Error == "" {
			return fmt.Errorf("generation %d answered %s", generation, resp.Status)
		}
		return errors.New(strings.TrimPrefix(p.Error, "handoff: "))
	}
	if read == nil {
		return nil
	}
	return read(resp.Body)
}
