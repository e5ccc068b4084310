package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/graceport/graceport/handoff"
	"github.com/graceport/graceport/reuseport"
)

// dashboardVariables are what Grafana puts for a dashboard's, with a step of 1s.
var dashboardVariables = strings.NewReplacer("$__rate_interval", "4s", "$__interval", "1s", "$job", "hello", "$instance", ".+")

// Every query of the dashboard, and everything the alerts choose, is there after
// a service has been restarted, rolled back, drained and stopped by SIGSTOP,
// whichever buckets Prometheus keeps of a histogram. And what the dashboard
// counts is what happened.
func TestDashboard(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed (Debian package prometheus):", err)
	}
	dir := controlDir(t)
	first := serve(t, "hello", "-addr", "127.0.0.1:0", "-dir", dir, "-drain", "1h")
	address, _, _ := first.ready()
	t.Cleanup(func() { // the successors too
		for _, st := range status(t, dir) {
			syscall.Kill(st.PID, syscall.SIGKILL)
		}
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	all := []*scraper{scrape(t, program, u.Host), scrape(t, program, u.Host, "--enable-feature=native-histograms")}
	seen := func(q string) {
		t.Helper()
		for _, p := range all {
			eventually(t, q, func() bool { return len(p.query(q)) > 0 })
		}
	}
	upgrade := func() (pid int) {
		t.Helper()
		if _, errs, code := run(t, "graceport", "upgrade", dir); code != 0 {
			t.Fatalf("upgrade: exit status %d\n%s", code, errs)
		}
		_, pid, _ = first.ready()
		return pid
	}

	seen(`sum(graceport_takeovers_total) == 0 and sum(count_over_time(up[1m])) > 2`) // a step of the graph shows zero
	old := upgrade()
	held := 3
	for range held { // requests whose bodies never come
		nc, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, "POST /hello HTTP/1.1\r\nHost: hello\r\nContent-Length: 5\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	upgrade()
	// Whoever sees this scrapes generation 3 from now on.
	seen(`graceport_draining{generation="2"} == 1`)
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	seen(`graceport_generations{state="silent"}`)
	syscall.Kill(old, syscall.SIGCONT)
	seen(`graceport_generations{generation="2", state="draining"}`)
	if _, errs, code := run(t, "graceport", "stop", "-generation", "2", "-now", dir); code != 0 {
		t.Fatalf("stop: exit status %d\n%s", code, errs)
	}
	rollBack(t, dir)
	seen(fmt.Sprintf(`sum(graceport_connections_closed_total{generation="ended", reason="forced"}) == %d`, held))
	seen(`sum(graceport_takeovers_total{generation="3", result!="completed"}) == 1`)
	// What generation 3 has counted moves, which is not to be counted again.
	upgrade()
	seen(`sum(graceport_takeovers_total{generation="ended", result!="completed"}) == 1`)
	seen(`sum(graceport_takeovers_total{result="completed"}) == 3`)

	text, err := os.ReadFile("../drain/drainprom/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("../drain/drainprom/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"classic", "native"} {
		t.Run(name, func(t *testing.T) {
			p := &scraper{t, all[i].url}
			p.checkDashboard(text, map[string]float64{
				"Takeovers completed": 3, "Takeovers failed": 1, "Closed by force": float64(held), "Left at close": 0,
			})
			p.checkAlerts(string(alerts))
		})
	}
}

// rollBack begins an upgrade and takes it back.
func rollBack(t *testing.T, dir string) {
	t.Helper()
	ended := make(chan struct{})
	cmd := exec.Command(filepath.Join(bin, "graceport"), "upgrade", "-share", "10%:1h", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	eventually(t, "a successor that shares", func() bool {
		for _, st := range status(t, dir) {
			if st.State == "sharing" {
				return true
			}
		}
		return false
	})
	if _, errs, code := run(t, "graceport", "rollback", dir); code != 0 {
		t.Fatalf("rollback: exit status %d\n%s", code, errs)
	}
	<-ended
}

// scrape starts a Prometheus that scrapes the service and evaluates the alerts.
func scrape(t *testing.T, program, target string, flags ...string) *scraper {
	t.Helper()
	rules, err := filepath.Abs("../drain/drainprom/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: hello, static_configs: [{targets: [%q]}]}]\n", rules, target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(flags, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")...)
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	address, ended := make(chan string, 1), make(chan struct{})
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	var said strings.Builder
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(log); s.Scan(); {
			fmt.Fprintln(&said, s.Text())
			if m := listening.FindStringSubmatch(s.Text()); m != nil {
				address <- m[1]
			}
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("prometheus said:\n%s", &said)
		}
	})
	select {
	case a := <-address:
		p := &scraper{t, "http://" + a}
		eventually(t, "prometheus is ready", func() bool {
			body, err := get(p.url + "/-/ready")
			return err == nil && strings.Contains(body, "is Ready")
		})
		return p
	case <-ended:
		t.Fatal("prometheus has ended")
	case <-time.After(patience):
		t.Fatalf("prometheus does not listen within %v", patience)
	}
	return nil
}

// checkDashboard wants data for every query, none for the same query of other
// names, and the totals of the panels in counts. After a scrape that took longer
// than its second there is a gap, into which an increase may have fallen.
func (p *scraper) checkDashboard(text []byte, counts map[string]float64) {
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct{ List []struct{ Definition string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		p.t.Fatal(err)
	}
	queries := 0
	check := func(title, expr string) (sum float64) {
		queries++
		n, sum := p.queryRange(dashboardVariables.Replace(expr))
		if n == 0 {
			p.t.Errorf("%s: no data: %s", title, expr)
		}
		if n, _ := p.queryRange(dashboardVariables.Replace(strings.ReplaceAll(expr, "graceport_", "absent_"))); n != 0 {
			p.t.Errorf("%s: data without any metric: %s", title, expr)
		}
		return sum
	}
	gap := len(p.query(`min_over_time(up[5m]) == 0`)) > 0
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			sum := check(panel.Title, target.Expr)
			if want, ok := counts[panel.Title]; ok && sum != want {
				if gap {
					p.t.Logf("%s: %v instead of %v, but a scrape failed", panel.Title, sum, want)
				} else {
					p.t.Errorf("%s: %v, want %v", panel.Title, sum, want)
				}
			}
			delete(counts, panel.Title)
		}
	}
	for _, a := range d.Annotations.List {
		check(a.Name, a.Expr)
	}
	labels := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		m := labels.FindStringSubmatch(v.Definition)
		if m == nil {
			continue
		}
		queries++
		body, err := get(p.url + "/api/v1/label/" + m[2] + "/values?match[]=" + url.QueryEscape(dashboardVariables.Replace(m[1])))
		if err != nil || !strings.Contains(body, `"data":["`) {
			p.t.Errorf("%s: %v %s", v.Definition, err, body)
		}
	}
	if queries < 20 || len(counts) > 0 {
		p.t.Errorf("%d queries, not counted: %v", queries, counts)
	}
}

// checkAlerts wants that Prometheus evaluates them, and that what they choose
// exists: an alert on a name that nobody exposes is silent for ever.
func (p *scraper) checkAlerts(text string) {
	eventually(p.t, "the alerts are evaluated", func() bool {
		body, err := get(p.url + "/api/v1/rules?type=alert")
		return err == nil && strings.Count(body, `"health":"ok"`) == strings.Count(text, "- alert:")
	})
	// This one is the exception, and must be spelled as the package does.
	unsteered := fmt.Sprintf(`strategy=~"%s|%s"`, reuseport.Migrate, reuseport.None)
	if !strings.Contains(text, unsteered) || !strings.Contains(text, `state="`+handoff.StateSilent+`"`) {
		p.t.Errorf("no alert has %s, or none has the state %s", unsteered, handoff.StateSilent)
	}
	for _, s := range regexp.MustCompile(`graceport_\w+(\{[^}]*\})?`).FindAllString(strings.Replace(text, unsteered, `strategy!=""`, 1), -1) {
		if n, _ := p.queryRange(s); n == 0 {
			p.t.Errorf("an alert chooses %s, of which there is nothing", s)
		}
	}
}

// queryRange counts the numbers that a query has had in the last minutes, and
// adds them up.
func (p *scraper) queryRange(q string) (n int, sum float64) {
	p.t.Helper()
	end := time.Now()
	v := url.Values{"query": {q}, "step": {"1s"},
		"start": {end.Add(-5 * time.Minute).Format(time.RFC3339Nano)}, "end": {end.Format(time.RFC3339Nano)}}
	body, err := get(p.url + "/api/v1/query_range?" + v.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	var answer struct {
		Status string
		Data   struct{ Result []struct{ Values [][2]any } }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s: %v %s", q, err, body)
	}
	for _, r := range answer.Data.Result {
		for _, pair := range r.Values {
			if x, err := strconv.ParseFloat(fmt.Sprint(pair[1]), 64); err == nil && x == x {
				n, sum = n+1, sum+x
			}
		}
	}
	return n, sum
}
