package handoffprom

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
)

func handler(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", string(expfmt.FmtText))
		io.WriteString(w, text)
	})
}

// Versions differ in what they show.
func TestMergeVersions(t *testing.T) {
	dir := controlDir(t)
	newFake(t, dir, 3, handler(`
# HELP requests_total Requests, as of version 1.
# TYPE requests_total counter
requests_total{code="200"} 5
# HELP depth Was a counter.
# TYPE depth counter
depth 7
# TYPE only_old gauge
only_old 1
`))
	newFake(t, dir, 4, handler(`
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 2
requests_total{code="500"} 1
# HELP depth Depth.
# TYPE depth gauge
depth 3
`))
	wantText(t, gather(t, patient(dir)), `
# HELP depth Depth.
# TYPE depth gauge
depth{generation="4"} 3
# TYPE only_old gauge
only_old{generation="3"} 1
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",generation="4"} 2
requests_total{code="500",generation="4"} 1
requests_total{code="200",generation="3"} 5
`)
}

func TestMergeRenamesLabel(t *testing.T) {
	dir := controlDir(t)
	newFake(t, dir, 1, handler(`
# TYPE power_watts gauge
power_watts{exported_generation="a",generation="b"} 1
power_watts{generation="c"} 2
`))
	wantText(t, gather(t, patient(dir)), `
# TYPE power_watts gauge
power_watts{exported_exported_generation="a",exported_generation="b",generation="1"} 1
power_watts{exported_generation="c",generation="1"} 2
`)
}

// One that is hostile or broken takes nothing from the others.
func TestMergeLeavesOut(t *testing.T) {
	huge := "# TYPE huge_total counter\n" + strings.Repeat(`huge_total{x="`+strings.Repeat("x", 1000)+"\"} 1\n", maxBytes/1000)
	for name, metrics := range map[string]http.Handler{
		"malformed": handler("# TYPE good_total counter\ngood_total 99\nbad{{{\n"),
		"huge":      handler(huge),
		"endless": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, huge[:1<<20]); err != nil {
					return
				}
			}
		}),
		"an error": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }),
		"a long message": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", string(expfmt.FmtProtoDelim))
			w.Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3})
		}),
		"twice": handler("# TYPE a counter\na 1\n# TYPE b counter\nb 1\n# TYPE a counter\na 2\n"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := controlDir(t)
			newFake(t, dir, 1, metrics)
			newFake(t, dir, 2, nil).counter("good_total").Add(3)
			wantText(t, gather(t, patient(dir)), `
# HELP good_total Things.
# TYPE good_total counter
good_total{generation="2"} 3
# HELP graceport_generations Living generations by state.
# TYPE graceport_generations gauge
graceport_generations{generation="1",state="silent"} 1
`)
		})
	}
}

// Single series that no scrape can have are left out, not the generation.
func TestMergeKeepsWhatIsValid(t *testing.T) {
	dir := controlDir(t)
	newFake(t, dir, 1, handler("# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"1\"} 5\na_total{x=\"2\"} NaN\na_total{x=\"3\"} -1\na_total{x=\"4\"} 2\n"))
	wantText(t, gather(t, patient(dir)), `
# TYPE a_total counter
a_total{generation="1",x="1"} 1
a_total{generation="1",x="4"} 2
`)
}

// A generation without metrics, and one that has the merged ones by mistake.
func TestMergeMisconfigured(t *testing.T) {
	dir := controlDir(t)
	newFake(t, dir, 1, http.NotFoundHandler())
	newFake(t, dir, 2, nil).counter("good_total").Add(3)
	g := NewGatherer(dir, nil)
	newFake(t, dir, 3, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.Gather()
	}))
	wantText(t, gather(t, g), `
# HELP good_total Things.
# TYPE good_total counter
good_total{generation="2"} 3
# HELP graceport_generations Living generations by state.
# TYPE graceport_generations gauge
graceport_generations{generation="3",state="silent"} 1
`)
}

func TestNoDirectory(t *testing.T) {
	if _, err := NewGatherer("/nonexistent", nil).Gather(); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("error %v", err)
	}
}
