package reuseport

import "context"

// Report is what Probe found out about the system. It says nothing about a
// particular listener.
type Report struct {
	Kernel        string   `json:"kernel"`
	Strategy      Strategy `json:"strategy"`              // the one that Listen would pick
	Unavailable   []Reason `json:"unavailable,omitempty"` // the stronger ones
	MPTCPDefault  bool     `json:"mptcp_default"`         // net.Listen makes Multipath TCP listeners
	TCPMigrateReq bool     `json:"tcp_migrate_req"`
	Somaxconn     int      `json:"somaxconn"`
	Hints         []Hint   `json:"hints,omitempty"`
}

// Reason tells why a strategy does not work.
type Reason struct {
	Strategy Strategy `json:"strategy"`
	Why      string   `json:"why"`
}

// Hint is something an operator should know.
type Hint struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Do   string `json:"do"`
}

// Probe tries each strategy on a socket that is thrown away, and reads the
// settings that matter. The error matches errors.ErrUnsupported where the
// package does nothing.
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
