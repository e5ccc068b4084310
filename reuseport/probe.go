package reuseport

import "context"

// Report is what Probe found out about the system. It says nothing about a
// particular listener.
type Report struct {
	Kernel        string   `json:"kernel"`                // its release, as uname -r shows it
	Strategy      Strategy `json:"strategy"`              // the one that Listen would pick
	Unavailable   []Reason `json:"unavailable,omitempty"` // the stronger ones
	MPTCPDefault  bool     `json:"mptcp_default"`         // net.Listen makes Multipath TCP listeners
	TCPMigrateReq bool     `json:"tcp_migrate_req"`       // net.ipv4.tcp_migrate_req is 1
	Somaxconn     int      `json:"somaxconn"`             // net.core.somaxconn; 0 if it cannot be read
	Hints         []Hint   `json:"hints,omitempty"`       // empty if nothing is to be done
}

// Reason tells why a strategy does not work.
type Reason struct {
	Strategy Strategy `json:"strategy"` // the one that was tried
	Why      string   `json:"why"`      // the text of its error
}

// Hint is something an operator should know.
type Hint struct {
	ID   string `json:"id"`   // does not change between versions, such as "somaxconn"
	Text string `json:"text"` // what is the case
	Do   string `json:"do"`   // about it
}

// Probe tries the strategies, the strongest first, on sockets that are thrown
// away until one works, and reads the settings that matter. ctx bounds the
// resolution of localhost. Outside Linux the error matches
// errors.ErrUnsupported.
func Probe(ctx context.Context) (*Report, error) {
	r := &Report{}
	if err := r.inspect(ctx); err != nil {
		return nil, err
	}
	for _, s := range byStrength() {
		err := try(s)
		if err == nil {
			r.Strategy = s
			break
		}
		r.Unavailable = append(r.Unavailable, Reason{Strategy: s, Why: err.Error()})
	}
	r.Hints = hints(r)
	return r, nil
}
