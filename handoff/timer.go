package handoff

import "time"

// deadlineSlices is how many parts a deadline is waited for in.
const deadlineSlices = 8

// A patientTimer measures a deadline in the time that this process could run.
// A process that was stopped for a minute (SIGSTOP, a frozen container, a
// suspended machine) must not conclude on waking that its peer was silent for
// a minute: what the peer sent is still unread. A slice that took much longer
// than it should does not count.
type patientTimer struct {
	t     *time.Timer
	slice time.Duration
	left  int
	began time.Time
}

func newPatientTimer() *patientTimer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &patientTimer{t: t}
}

func (p *patientTimer) C() <-chan time.Time { return p.t.C }

// arm starts the deadline anew; 0 disarms it.
func (p *patientTimer) arm(d time.Duration) {
	p.t.Stop()
	if d > 0 {
		p.slice, p.left = d/deadlineSlices, deadlineSlices
		p.next()
	}
}

func (p *patientTimer) next() {
	p.began = time.Now()
	p.t.Reset(p.slice)
}

// expired is called when C has fired. It reports whether the deadline passed.
func (p *patientTimer) expired() bool {
	if time.Since(p.began) < 2*p.slice+100*time.Millisecond {
		p.left--
	}
	if p.left > 0 {
		p.next()
		return false
	}
	return true
}

func (p *patientTimer) stop() { p.t.Stop() }
