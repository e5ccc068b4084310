package drain

import "time"

// maxListed bounds lists of connections.
const maxListed = 10

// ConnInfo describes an open connection.
type ConnInfo struct {
	Listener string    `json:"listener,omitempty"` // ListenerOptions.Name
	Remote   string    `json:"remote"`             // the peer's address
	Accepted time.Time `json:"accepted"`           // when Accept returned it

	// State is new, active, idle or hijacked, see States.
	State   string  `json:"state"`
	Seconds float64 `json:"age_seconds"` // since the state began

	// Request is the method and the target, without the query, of the last
	// request, each cut off after 256 bytes; "" if there was none.
	Request string `json:"request,omitempty"`

	// BytesIn and BytesOut count what was received and sent, TLS and headers
	// included, and IdleSeconds is the time since the last of it. They are
	// the kernel's own numbers of a TCP connection on Linux. Of others it
	// counts nothing, and IdleSeconds equals Seconds.
	BytesIn     uint64  `json:"bytes_in"`     // from the peer
	BytesOut    uint64  `json:"bytes_out"`    // to the peer
	IdleSeconds float64 `json:"idle_seconds"` // without traffic
}

// traffic is what the kernel knows of a connection.
type traffic struct {
	in, out uint64 // bytes
	idle    time.Duration
}

func (tc *conn) info(now time.Time) ConnInfo {
	c := tc.from.conns
	since, st := c.unstamp(tc.state.Load())
	i := ConnInfo{
		Listener: tc.from.stats.name,
		Accepted: c.epoch.Add(tc.accepted).Round(0),
		State:    st.String(),
		Seconds:  now.Sub(since).Seconds(),
		Request:  tc.request(),
	}
	if a := tc.RemoteAddr(); a != nil {
		i.Remote = a.String()
	}
	i.IdleSeconds = i.Seconds
	if t, ok := trafficOf(tc.Conn); ok {
		i.BytesIn, i.BytesOut, i.IdleSeconds = t.in, t.out, t.idle.Seconds()
	}
	return i
}

func infos(conns []*conn, now time.Time) (list []ConnInfo) {
	for _, tc := range conns {
		list = append(list, tc.info(now))
	}
	return list
}
