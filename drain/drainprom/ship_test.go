package drainprom_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian package prometheus):", err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

func TestAlerts(t *testing.T) {
	if out, err := promtool(t, "check", "rules", "alerts.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := promtool(t, "test", "rules", "alerts_test.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An alert as it stands in the file: its name, its expression, how long it
// waits.
var alert = regexp.MustCompile(`- alert: (\w+)\n +expr: (.*)\n( +for: .*\n)? +labels:\n +severity: \w+\n +annotations:\n +summary: .+\n +description: .+\n`)

// The tests of an alert fail if it never fires, if it always does, if it does
// not wait, and if it takes the end of a generation for an increase.
func TestAlertTestsCanFail(t *testing.T) {
	rules := read(t, "alerts.yaml")
	alerts := alert.FindAllStringSubmatch(rules, -1)
	if n := strings.Count(rules, "- alert:"); n == 0 || len(alerts) != n {
		t.Fatalf("%d of %d alerts have an expression, a severity, a summary and a description", len(alerts), n)
	}
	expr := regexp.MustCompile(`(?m)^( +expr:) (.*)$`)
	wait := regexp.MustCompile(`(?m)^ +for:.*\n`)
	sumFirst := regexp.MustCompile(`increase\(sum without \(generation\) \((.*)\)\[15m:15s\]\)`)
	each := func([]string) bool { return true }
	for _, x := range []struct {
		name, rules string
		concerns    func(alert []string) bool
	}{
		{"never", expr.ReplaceAllString(rules, "$1 ($2) < -1"), each},
		{"always", expr.ReplaceAllString(rules, "$1 vector(1)"), each},
		{"at once", wait.ReplaceAllString(rules, ""), func(a []string) bool { return a[3] != "" }},
		{"increase before the sum", sumFirst.ReplaceAllString(rules, "sum without (generation) (increase($1[15m]))"),
			func(a []string) bool { return sumFirst.MatchString(a[2]) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"alerts.yaml": x.rules, "alerts_test.yaml": read(t, "alerts_test.yaml")} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := promtool(t, "test", "rules", filepath.Join(dir, "alerts_test.yaml"))
			if err == nil {
				t.Fatal("the tests pass")
			}
			for _, a := range alerts {
				if failed := strings.Contains(out, "alertname: "+a[1]+","); failed != x.concerns(a) {
					t.Errorf("%s: its tests fail: %v\n%s", a[1], failed, out)
				}
			}
		})
	}
}

type dashboard struct {
	Title      string
	UID        string
	Panels     []panel
	Templating struct{ List []struct{ Name, Type string } }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ RefID, Expr string }
}

func TestDashboard(t *testing.T) {
	text := read(t, "dashboard.json")
	for _, p := range problems(text) {
		t.Error(p)
	}
	for _, x := range []struct{ old, new, want string }{
		{`"title": "Accepted"`, `"title": ""`, "no title"},
		{`"unit": "cps"`, `"unit": ""`, "no unit"},
		{`"uid": "${datasource}"`, `"uid": "P1809F7CD0C75ACF3"`, "data source"},
		{`"id": 2,`, `"id": 3,`, "id"},
		{`"x": 12`, `"x": 11`, "overlap"},
		{`"w": 12`, `"w": 30`, "wide"},
		{`job=~\"$job\", `, ``, "job"},
		{`[$__rate_interval]`, `[5m]`, "fixed window"},
		{`$instance`, `$node`, "$node"},
		{`"name": "datasource"`, `"name": "prometheus"`, "$datasource"},
	} {
		if !strings.Contains(text, x.old) {
			t.Errorf("it lacks %s", x.old)
			continue
		}
		if got := strings.Join(problems(strings.ReplaceAll(text, x.old, x.new)), "\n"); !strings.Contains(got, x.want) {
			t.Errorf("with %s for %s: %q, want %q", x.new, x.old, got, x.want)
		}
	}
}

var (
	selector = regexp.MustCompile(`graceport_\w+(\{[^}]*\})?`)
	window   = regexp.MustCompile(`(\[|offset )(\d+\w+)`)
	variable = regexp.MustCompile(`\$\{?(\w+)`)
)

// problems are what makes the dashboard useless to those whose Grafana, data
// source or services differ from ours.
func problems(text string) []string {
	var found []string
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	var d dashboard
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return []string{err.Error()}
	}
	if d.Title == "" || d.UID != "" || len(d.Panels) == 0 {
		problem("the dashboard has the title %q, the uid %q, %d panels", d.Title, d.UID, len(d.Panels))
	}
	known := map[string]bool{"__interval": true, "__rate_interval": true, "__all": true}
	for _, v := range d.Templating.List {
		known[v.Name] = true
	}
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !known[m[1]] {
			problem("nobody defines $%s", m[1])
		}
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if p.Title == "" {
			problem("panel %d has no title", p.ID)
		}
		if ids[p.ID] {
			problem("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		a := p.GridPos
		if a.W <= 0 || a.H <= 0 || a.X < 0 || a.X+a.W > 24 {
			problem("panel %q is too wide, or empty", p.Title)
		}
		for _, q := range d.Panels[:i] {
			b := q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				problem("panels %q and %q overlap", p.Title, q.Title)
			}
		}
		if p.Type != "row" {
			found = append(found, panelProblems(p)...)
		}
	}
	var whole any
	json.Unmarshal([]byte(text), &whole)
	return append(found, datasourceProblems(whole)...)
}

func panelProblems(p panel) (found []string) {
	problem := func(what string) { found = append(found, fmt.Sprintf("panel %q: %s", p.Title, what)) }
	if p.Description == "" {
		problem("no description")
	}
	if p.FieldConfig.Defaults.Unit == "" {
		problem("no unit")
	}
	if len(p.Targets) == 0 {
		problem("no query")
	}
	for _, q := range p.Targets {
		all := selector.FindAllStringSubmatch(q.Expr, -1)
		if len(all) == 0 {
			problem("a query of nothing of ours")
		}
		for _, s := range all {
			if !strings.Contains(s[1], `job=~"$job"`) || !strings.Contains(s[1], `instance=~"$instance"`) {
				problem("not chosen by job and instance: " + s[0])
			}
		}
		if w := window.FindString(q.Expr); w != "" {
			problem("a fixed window: " + w)
		}
	}
	return found
}

// datasourceProblems looks at everything that has a data source or a query.
func datasourceProblems(node any) (found []string) {
	switch n := node.(type) {
	case []any:
		for _, v := range n {
			found = append(found, datasourceProblems(v)...)
		}
	case map[string]any:
		source, _ := n["datasource"].(map[string]any)
		_, queries := n["expr"]
		if _, has := n["datasource"]; (has || queries) && source["uid"] != "${datasource}" {
			found = append(found, fmt.Sprintf("the data source %v is not the variable", n["datasource"]))
		}
		for _, v := range n {
			found = append(found, datasourceProblems(v)...)
		}
	}
	return found
}
