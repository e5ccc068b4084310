package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	scrapeRestarts = 10
	// Each job scrapes once a second, at an instant of its own: together every
	// 200 ms, and each has a second's patience.
	scrapeJobs = 5
)

// Prometheus sees one service through ten restarts: it is up, no counter falls
// and no series comes twice.
func TestPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed (Debian package prometheus)")
	}
	dir := controlDir(t)
	s, ended := serveLogged(t, "hello", "-addr", "127.0.0.1:0", "-dir", dir)
	address, _, _ := s.ready()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the successors too
		for _, st := range status(t, dir) {
			syscall.Kill(st.PID, syscall.SIGKILL)
		}
	})
	p := startPrometheus(t, program, u.Host)
	p.awaitScrapes(scrapeJobs)

	var connections, failed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := get(address); err != nil {
					t.Error(err)
					failed.Add(1)
				}
				connections.Add(1)
			}
		})
	}
	for n := range scrapeRestarts {
		if _, errs, code := run(t, "graceport", "upgrade", dir); code != 0 {
			t.Fatalf("upgrade: exit status %d\n%s", code, errs)
		}
		if _, _, generation := s.ready(); generation != n+2 {
			t.Errorf("generation %d leads after %d restarts", generation, n+1)
		}
		p.awaitScrapes(2)
	}
	close(stop)
	load.Wait()
	var accepted, finished float64
	for range scrapeRestarts {
		select {
		case last := <-ended:
			accepted, finished = accepted+last.accepted, finished+last.finished
		case <-time.After(patience):
			t.Fatalf("not every generation said within %v that it ended", patience)
		}
	}
	p.awaitScrapes(scrapeJobs)
	eventually(t, "every job sees the leader, and the sum of those that ended", func() bool {
		n := p.query(`count by (job) (count by (job, generation) (graceport_connections_accepted_total))`)
		return slices.Equal(n, slices.Repeat([]float64{2}, scrapeJobs))
	})

	equals := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }
	const every = `{__name__=~"graceport_.+_(total|count|bucket)"}`
	sum := func(of string) string {
		return fmt.Sprintf("sum by (__name__, job, listener, reason, result, kind, phase, le) (%s)", of)
	}
	resets := func(of string) string { return fmt.Sprintf("max by (job) (resets(%s[5m:100ms]))", sum(of)) }
	p.each(resets(every), scrapeJobs, equals(0), "resets of a sum over the generations")
	p.each("count(count by (__name__) ("+every+"))", 1, equals(6), "families that are looked at")
	// The control: what a scrape of the leader alone would give.
	if got := p.query(fmt.Sprintf("max(%s)", resets(strings.Replace(every, "{", `{generation!="ended",`, 1)))); len(got) != 1 || got[0] < 1 {
		t.Errorf("without the ended generations nothing was ever reset: %v", got)
	}
	p.each(`min_over_time(up[5m])`, scrapeJobs, equals(1), "up")
	p.each(`graceport_connections_accepted_total{generation="ended"}`, scrapeJobs, equals(accepted), "accepted, as the generations reported")
	p.each(`graceport_connections_closed_total{generation="ended",reason="finished"}`, scrapeJobs, equals(finished), "finished, as the generations reported")
	p.each(`sum by (job) (graceport_takeovers_total{result="completed"})`, scrapeJobs, equals(scrapeRestarts), "takeovers")
	p.each(`graceport_drain_duration_seconds_count{generation="ended"} or histogram_count(graceport_drain_duration_seconds{generation="ended"})`,
		scrapeJobs, equals(scrapeRestarts), "drains")
	made := float64(connections.Load())
	p.each(`sum by (job) (graceport_connections_accepted_total)`, scrapeJobs, func(v float64) bool { return v >= made }, fmt.Sprintf("accepted, of %v that were made", made))
	if own, err := get(p.url + "/metrics"); err != nil || !strings.Contains(own, "\nprometheus_target_scrapes_sample_duplicate_timestamp_total 0\n") {
		t.Errorf("series came twice, or Prometheus does not say: %v", err)
	}
	t.Logf("%v connections, %d failed, %v scrapes", made, failed.Load(), p.query(`sum(count_over_time(up[5m]))`))
}

// The command shows every generation and changes nothing.
func TestMetricsCommand(t *testing.T) {
	dir := controlDir(t)
	s := serve(t, "hello", "-addr", "127.0.0.1:0", "-dir", dir)
	s.ready()
	out, errs, code := run(t, "graceport", "metrics", dir)
	if want := `graceport_generations{generation="1",state="leading"} 1` + "\n"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("exit status %d, without the line %s%s%s", code, want, out, errs)
	}
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	leftOver(t, dir)
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, 2, "usage: graceport metrics"},
		{[]string{"-timeout", "0s", dir}, 2, "not a time"},
		{[]string{"/nonexistent"}, 1, "does not exist"},
		{[]string{dir}, 1, "no generation"},
	} {
		if _, errs, code := run(t, "graceport", append([]string{"metrics"}, x.args...)...); code != x.code || !strings.Contains(errs, x.want) {
			t.Errorf("metrics %q: exit status %d, want %d with %q:\n%s", x.args, code, x.code, x.want, errs)
		}
	}
	if out, _, code := run(t, "graceport", "metrics", "-h"); code != 0 || !strings.Contains(out, "Example") {
		t.Errorf("-h: exit status %d, without an example:\n%s", code, out)
	}
}

// Steering and draining link no Prometheus: who does not scrape does not pay.
func TestPrometheusIsNotLinked(t *testing.T) {
	for pkg, want := range map[string]bool{"reuseport": false, "drain": false, "handoff": false, "handoff/handoffprom": true} {
		out, err := exec.Command("go", "list", "-deps", "../"+pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(out), "prometheus"); got != want {
			t.Errorf("package %s links Prometheus: %v, want %v", pkg, got, want)
		}
	}
}

// lastWords are what a generation of hello logs when it ends.
type lastWords struct{ accepted, finished float64 }

var lastLine = regexp.MustCompile(`msg="hello ends" generation=\d+ accepted=(\d+) finished=(\d+)`)

// serveLogged is serve for a service whose log is read.
func serveLogged(t *testing.T, name string, args ...string) (*server, <-chan lastWords) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, cmd: exec.Command(filepath.Join(bin, name), args...), lines: make(chan string, 100), ended: make(chan struct{})}
	out, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = outW, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	outW.Close()
	ended := make(chan lastWords, 100)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if testing.Verbose() {
				fmt.Fprintln(os.Stderr, lines.Text())
			}
			if m := lastLine.FindStringSubmatch(lines.Text()); m != nil {
				a, _ := strconv.ParseFloat(m[1], 64)
				f, _ := strconv.ParseFloat(m[2], 64)
				ended <- lastWords{a, f}
			}
		}
		r.Close()
	}()
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
		out.Close()
	}()
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.ended
	})
	return s, ended
}

// scraper is a Prometheus.
type scraper struct {
	t   *testing.T
	url string
}

func startPrometheus(t *testing.T, program, target string) *scraper {
	t.Helper()
	dir, err := os.MkdirTemp("", "graceport")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var config strings.Builder
	fmt.Fprint(&config, "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n")
	for i := range scrapeJobs {
		fmt.Fprintf(&config, "- {job_name: job%d, static_configs: [{targets: ['%s']}]}\n", i, target)
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// It cannot tell a port that the kernel chose: another process may take this
	// one first, and then another try is made.
	for range 5 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := free.Addr().String()
		free.Close()
		log := &strings.Builder{}
		cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
			"--web.listen-address="+address, "--enable-feature=native-histograms", "--log.level=warn")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			cmd.Wait()
			close(ended)
		}()
		t.Cleanup(func() {
			cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
			case <-time.After(patience):
				cmd.Process.Kill()
				<-ended
			}
			if t.Failed() {
				t.Logf("prometheus said:\n%s", log)
			}
		})
		p := &scraper{t, "http://" + address}
		if p.serves(ended) {
			return p
		}
	}
	t.Fatal("prometheus does not start")
	return nil
}

func (p *scraper) serves(ended <-chan struct{}) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		select {
		case <-ended:
			return false
		case <-deadline:
			p.t.Fatalf("prometheus does not answer within %v", patience)
		case <-tick.C:
			if resp, err := http.Get(p.url + "/-/ready"); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return true
				}
			}
		}
	}
}

// query returns the values of an instant vector.
func (p *scraper) query(q string) (values []float64) {
	p.t.Helper()
	body, err := get(p.url + "/api/v1/query?query=" + url.QueryEscape(q))
	if err != nil {
		p.t.Fatal(err)
	}
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s: %v %s", q, err, body)
	}
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			p.t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// each wants at least n series, all of whose values are ok.
func (p *scraper) each(q string, n int, ok func(float64) bool, what string) {
	p.t.Helper()
	values := p.query(q)
	if len(values) < n {
		p.t.Errorf("%s: %d series, at least %d are wanted: %s", what, len(values), n, q)
	}
	for _, v := range values {
		if !ok(v) {
			p.t.Errorf("%s: %v: %s", what, values, q)
			return
		}
	}
}

// awaitScrapes waits until so many jobs have each made a scrape that began after
// the call.
func (p *scraper) awaitScrapes(jobs float64) {
	p.t.Helper()
	now := float64(time.Now().UnixMilli()) / 1e3
	eventually(p.t, "Prometheus scrapes", func() bool {
		n := p.query(fmt.Sprintf("count(timestamp(up) > %f)", now))
		return len(n) == 1 && n[0] >= jobs
	})
}
