package bench

import (
	"crypto/rand"
	"crypto/tls"
)

// tickets are the keys of TLS session tickets, handed from one generation to
// the next so that clients can resume their sessions.
type tickets struct{ keys [][32]byte }

const ticketState = "tls-ticket-keys"

func newTickets() (*tickets, error) {
	t := &tickets{keys: make([][32]byte, 1)}
	_, err := rand.Read(t.keys[0][:])
	return t, err
}

// state is a handoff.Config.State.
func (t *tickets) state() map[string][]byte {
	return map[string][]byte{ticketState: t.keys[0][:]}
}

// use issues tickets as the predecessor did, so that its own are good too.
func (t *tickets) use(config *tls.Config, theirs map[string][]byte) {
	if key := theirs[ticketState]; len(key) == len(t.keys[0]) {
		copy(t.keys[0][:], key)
	}
	config.SetSessionTicketKeys(t.keys)
}
