package handoff

import "time"

// OnStep sets the function that is called before every action, and after the
// last one for an event.
func (c *Config) OnStep(f func(g *Generation, step string)) { c.step = f }

// Babble sends what is no message to whoever is in conversation with g. It is
// for a function given to OnStep.
func (g *Generation) Babble() {
	for _, c := range []*conversation{g.loop.upper, g.loop.lower} {
		if c != nil {
			c.conn.Write([]byte("\x00]babble\n"))
		}
	}
}

// AwaitExit waits until a process and its sockets are gone.
func AwaitExit(pid int, d time.Duration) bool { return awaitExit(pid, d) }
