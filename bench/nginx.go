package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// nginxReload is "Changing Configuration" of nginx.org/en/docs/control.html:
// HUP, new workers beside the old ones on the same listening sockets.
func nginxReload() *method {
	return &method{
		name:     "nginx-reload",
		summary:  "nginx: HUP, new workers on the same listening socket",
		program:  true,
		networks: []string{"unix"},
		needs:    installed("nginx"),
		version:  "nginx",
		start:    startNginx,
		restart: func(ctx context.Context, f *fleet, master *process) (*process, error) {
			old := workersOf(master)
			next := master.nextWorkers(old)
			if err := f.configure("nginx.conf", nginxConfiguration(f, next.generation)); err != nil {
				return nil, err
			}
			if err := master.signal(syscall.SIGHUP); err != nil {
				return nil, err
			}
			return f.replaceMaster(next), f.answering(ctx, next.generation)
		},
	}
}

// nginxUpgrade is "Upgrading Executable on the Fly" of the same page: USR2, and
// when the new master's workers serve, WINCH and QUIT for the old one.
func nginxUpgrade() *method {
	return &method{
		name:     "nginx-upgrade",
		summary:  "nginx: USR2 starts a new master on the same listening socket, then WINCH and QUIT",
		program:  true,
		networks: []string{"unix"},
		needs:    installed("nginx"),
		version:  "nginx",
		start:    startNginx,
		restart: func(ctx context.Context, f *fleet, old *process) (*process, error) {
			generation := old.generation + 1
			if err := f.configure("nginx.conf", nginxConfiguration(f, generation)); err != nil {
				return nil, err
			}
			if err := old.signal(sigUSR2); err != nil {
				return nil, err
			}
			next, err := f.daemon(ctx, "nginx.pid", old.pid, generation)
			if err != nil {
				return nil, err
			}
			if err := f.answering(ctx, generation); err != nil {
				return nil, err
			}
			if err := old.signal(sigWINCH); err != nil {
				return nil, err
			}
			return next, old.signal(syscall.SIGQUIT)
		},
	}
}

// startNginx starts it as a daemon: with "daemon off" it takes USR2 for a
// signal to itself as the new binary, and ignores it.
func startNginx(ctx context.Context, f *fleet) (*process, error) {
	if err := f.configure("nginx.conf", nginxConfiguration(f, f.started)); err != nil {
		return nil, err
	}
	// USR2 has it execute the name by which it was started.
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil, err
	}
	launcher, err := f.spawn(path, "-c", filepath.Join(f.dir, "nginx.conf"), "-e", "stderr")
	if err != nil {
		return nil, err
	}
	master, err := f.daemon(ctx, "nginx.pid", launcher.pid, f.started)
	if err != nil {
		return nil, err
	}
	if err := launcher.ended(ctx); err != nil {
		return nil, err
	}
	return master, f.answering(ctx, master.generation)
}

// daemon is the process that a pid file names, another than not.
func (f *fleet) daemon(ctx context.Context, pidFile string, not, generation int) (*process, error) {
	pid, err := f.readPID(ctx, pidFile, not)
	if err != nil {
		return nil, err
	}
	found, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	p := newProcess(found, generation)
	f.processes = append(f.processes, p)
	return p, nil
}

// replaceMaster puts the later generation of the same process in the place of
// the earlier, so that it is waited for once.
func (f *fleet) replaceMaster(next *process) *process {
	f.processes[len(f.processes)-1] = next
	return next
}

// nginxConfiguration is the manual's minimum: a worker for each processor,
// everything else at its default, files in the fleet's directory.
func nginxConfiguration(f *fleet, generation int) string {
	listen, certificate := f.kernelPath(), ""
	if f.scenario.tls {
		listen += " ssl"
		certificate = fmt.Sprintf("ssl_certificate %[1]s; ssl_certificate_key %[1]s; ssl_protocols TLSv1.3;", certificateFile(f.dir))
	}
	return fmt.Sprintf(`worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		%[3]s
		location / {
			add_header %[4]s %[5]d;
			return 200 "generation %[5]d\n";
		}
	}
}
`, f.dir, listen, certificate, generationHeader, generation)
}
