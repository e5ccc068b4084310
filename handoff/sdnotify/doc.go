// Package sdnotify speaks the datagrams of sd_notify(3), by which a service
// tells its service manager how it is. A Notifier sends them, a Socket
// receives them as the manager does.
//
//	n, err := sdnotify.New()
//	if err != nil {
//		log.Warn("nobody will be notified", "error", err) // n is nil, which is fine
//	}
//	defer n.Close()
//	err = n.Notify("READY=1", sdnotify.Status("serving"))
//
// Sending never waits: a manager that does not read makes Notify fail, and
// nothing else. handoff.Run does all this for a service; the package is for those
// who use handoff.Open, or supervise.
//
// Outside Linux the package compiles, and Listen fails, as New does where
// NOTIFY_SOCKET is set.
package sdnotify
