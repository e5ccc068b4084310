package bench

import (
	"context"
	"fmt"
	"path/filepath"
)

// haproxyReload is chapter 4 of HAProxy's management guide: USR2 has the
// master execute itself anew and start a worker, which gets the listening
// sockets from the old one over the stats socket (expose-fd listeners).
func haproxyReload() *method {
	return &method{
		name:     "haproxy-reload",
		summary:  "HAProxy: USR2 to the master, the new worker gets the listening sockets from the old",
		program:  true,
		networks: []string{"unix"},
		needs:    installed("haproxy"),
		version:  "haproxy",
		start: func(ctx context.Context, f *fleet) (*process, error) {
			if err := f.configure("haproxy.cfg", haproxyConfiguration(f, f.started)); err != nil {
				return nil, err
			}
			master, err := f.spawn("haproxy", "-W", "-q", "-f", filepath.Join(f.dir, "haproxy.cfg"))
			if err != nil {
				return nil, err
			}
			return master, f.answering(ctx, master.generation)
		},
		restart: func(ctx context.Context, f *fleet, master *process) (*process, error) {
			next := master.nextWorkers(workersOf(master))
			if err := f.configure("haproxy.cfg", haproxyConfiguration(f, next.generation)); err != nil {
				return nil, err
			}
			// While it executes itself it ignores the signal.
			if err := master.catches(ctx, sigUSR2); err != nil {
				return nil, err
			}
			if err := master.signal(sigUSR2); err != nil {
				return nil, err
			}
			return f.replaceMaster(next), f.answering(ctx, next.generation)
		},
	}
}

func haproxyConfiguration(f *fleet, generation int) string {
	bind := f.addr
	if f.scenario.network == "unix" {
		bind = "unix@" + f.addr
	}
	if f.scenario.tls {
		bind += " ssl crt " + certificateFile(f.dir) + " ssl-min-ver TLSv1.3"
	}
	return fmt.Sprintf(`global
	stats socket %[1]s/haproxy.sock mode 600 level admin expose-fd listeners
	hard-stop-after %[2]s
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
frontend service
	bind %[3]s
	http-request return status 200 content-type text/plain string "generation %[5]d" hdr %[4]s %[5]d
`, f.dir, "5s", bind, generationHeader, generation)
}
