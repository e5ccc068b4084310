package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// drawnReport has everything that a page can show.
func drawnReport() *Report {
	r := fixedReport()
	res := r.Results[0]
	res.Timeline = &Timeline{From: -100, Step: 10}
	for i := range 40 {
		old, lost := 90, 0
		if i >= 12 {
			old = 0
		}
		if i == 12 || i == 13 {
			lost = 50
		}
		res.Timeline.Old = append(res.Timeline.Old, old)
		res.Timeline.New = append(res.Timeline.New, 90-old)
		res.Timeline.Lost = append(res.Timeline.Lost, lost)
	}
	res.SteadyHistogram, res.RestartHistogram = newHistogram(), newHistogram()
	for i := range 2000 {
		res.SteadyHistogram.record(time.Duration(1000+i) * time.Microsecond)
		res.RestartHistogram.record(time.Duration(2000+20*i) * time.Microsecond)
	}
	return r
}

func TestPageNeedsNothingElse(t *testing.T) {
	r := drawnReport()
	r.Command = "graceport bench -peer '<script>alert(1)</script>'"
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, foreign := range []string{"<script", "http://", "https://", "@import", "url(", "src="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	for _, want := range []string{
		`<h2 id="short">`, `<h2 id="keepalive">`, "prefers-color-scheme: dark", `name="viewport"`,
		`class="old"`, `class="new"`, `class="lost"`, "<polyline",
		"stop-start lost most, 110 per restart (95 % interval 105 to 115), chiefly dial/refused",
		"handoff lost nothing in 2 restarts",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestDirHasAllThree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := drawnReport().WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	res := r.Results[0]
	if n := res.SteadyHistogram.TotalCount(); n != 2000 || res.Timeline.Lost[12] != 50 || len(res.Timeline.Old) != 40 {
		t.Errorf("read back %d latencies, timeline %+v", n, res.Timeline)
	}
	b, err = os.ReadFile(filepath.Join(dir, "latency.hgrm"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?s)# stop-start short, steady\n.*# stop-start short, restart windows\n.*#\[Mean`).Match(b) {
		t.Errorf("latency.hgrm: %.300s", b)
	}
}

func TestMalformedResultIsAnError(t *testing.T) {
	for _, text := range []string{"", "AAAA", "HISTFAAAAAAAAAAA", "not base64!"} {
		if err := new(Histogram).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("histogram %q is accepted", text)
		}
	}
	if err := new(series).UnmarshalText([]byte("1 two")); err == nil {
		t.Error("a series of words is accepted")
	}
}

// A browser draws the page, as wide as a desk and as a phone.
func TestPageInBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: ", err)
	}
	dir := t.TempDir()
	if err := drawnReport().WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, size string }{{"desk", "1280,1600"}, {"phone", "390,1600"}} {
		shot := filepath.Join(dir, c.name+".png")
		cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
			"--disable-dev-shm-usage", "--user-data-dir="+filepath.Join(dir, "profile"),
			"--window-size="+c.size, "--screenshot="+shot, "file://"+filepath.Join(dir, "report.html"))
		cmd.WaitDelay = 5 * time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, out)
		}
		info, err := os.Stat(shot)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() < 10_000 {
			t.Errorf("%s: a picture of %d bytes shows nothing", c.name, info.Size())
		}
	}
}

func TestSentenceOfACrowd(t *testing.T) {
	of := &scenarioResults{Results: []*Result{
		fixedResult("naive", "reconnect", &Measurement{Restarts: 1, Requests: 2000, Crowd: 1000}),
		fixedResult("handoff", "reconnect", &Measurement{Restarts: 1, Requests: 2000, Crowd: 105}),
	}}
	if s, want := of.Sentence(), "at most 105 clients came back to handoff, and 1000 to naive"; !strings.Contains(s, want) {
		t.Errorf("%q lacks %q", s, want)
	}
}
