package handoff_test

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
)

// Listeners may be opened at once. The predecessor is told of each, hence the
// first generation.
func TestListenAtOnce(t *testing.T) {
	cfg := handoff.Config{Dir: newService(t).Dir}
	if err := openGeneration(t, cfg).Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := openGeneration(t, cfg)
	const n = 20
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := g.Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	names := map[string]bool{}
	for _, l := range g.Status().Listeners {
		names[l.Name] = true
	}
	if len(names) != n {
		t.Errorf("%d names of listeners: %v", len(names), names)
	}
}

// A name is the address that it leads to.
func TestListenByName(t *testing.T) {
	cfg := handoff.Config{Dir: newService(t).Dir}
	first, addr := serving(t, cfg, "localhost:0")
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	second, again := serving(t, cfg, "localhost:"+port)
	if again != addr {
		t.Errorf("the successor listens on %s, its predecessor on %s", again, addr)
	}
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitSuperseded(t, first)
	answeredBy(t, addr, 2)
}

// A Listen that takes long, as with a slow resolver, holds up nothing else. What
// it opens when Ready or Close was called meanwhile is closed.
func TestListenThatTakesLong(t *testing.T) {
	for _, x := range []struct {
		name string
		end  func(*handoff.Generation) error
		want error
	}{
		{"Ready", func(g *handoff.Generation) error { return g.Ready(t.Context()) }, nil},
		{"Stop", func(g *handoff.Generation) error { g.Stop(); <-g.Superseded(); return nil }, handoff.ErrStopped},
		{"Close", (*handoff.Generation).Close, handoff.ErrStopped},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := openGeneration(t, handoff.Config{Dir: newService(t).Dir})
			opening, goOn := make(chan string), make(chan struct{})
			var once sync.Once
			o := &handoff.ListenOptions{ListenConfig: &net.ListenConfig{Control: func(_, address string, _ syscall.RawConn) error {
				once.Do(func() { opening <- address })
				<-goOn
				return nil
			}}}
			result := make(chan error, 1)
			go func() {
				_, err := g.ListenWith(t.Context(), "tcp", "127.0.0.1:0", o)
				result <- err
			}()
			<-opening
			asked := make(chan error, 1)
			go func() {
				g.Status()
				asked <- x.end(g)
			}()
			select {
			case err := <-asked:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("Listen holds up everything")
			}
			close(goOn)
			if err := <-result; err == nil || x.want != nil && !errors.Is(err, x.want) {
				t.Errorf("Listen returned %v", err)
			}
			if st := g.Status(); len(st.Listeners) != 0 {
				t.Errorf("listeners: %+v", st.Listeners)
			}
		})
	}
}
