package bench

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Drawings are SVG without text sizes or colours of their own: the page's
// style gives both, for light and dark.
const (
	drawWidth  = 360.0
	drawHeight = 110.0
	drawBase   = 92.0 // where the axis is
	drawBars   = 90   // at most
)

// drawTimeline stacks what ended in each slot, per restart: answers of the old
// and of the new generation, and losses on top.
func drawTimeline(t *Timeline, restarts int, peak float64) template.HTML {
	if t == nil || restarts == 0 || peak == 0 || len(t.Old) == 0 {
		return ""
	}
	group := (len(t.Old) + drawBars - 1) / drawBars // slots to a bar
	bars := (len(t.Old) + group - 1) / group
	width := drawWidth / float64(bars)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="requests per %d ms around the restart">`, drawWidth, drawHeight, t.Step)
	for bar := range bars {
		top := drawBase
		for _, layer := range []struct {
			class string
			of    series
		}{{"old", t.Old}, {"new", t.New}, {"lost", t.Lost}} {
			from := bar * group
			n := 0
			for _, x := range layer.of[from:min(from+group, len(layer.of))] {
				n += x
			}
			height := drawBase * float64(n) / float64(restarts) / float64(group) / peak
			height = min(height, top)
			if n > 0 && layer.class == "lost" {
				height = min(max(height, 2), drawBase) // one loss in many must be seen
				top = max(top, height)
			}
			if n == 0 {
				continue
			}
			top -= height
			fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
				layer.class, float64(bar)*width, top, max(width-0.5, 0.5), height)
		}
	}
	at := func(ms int) float64 { return drawWidth * float64(ms-t.From) / float64(len(t.Old)*t.Step) }
	end := t.From + len(t.Old)*t.Step
	fmt.Fprintf(&b, `<line class="axis" x1="0" y1="%g" x2="%g" y2="%g"/>`, drawBase, drawWidth, drawBase)
	fmt.Fprintf(&b, `<line class="mark" x1="%.1f" y1="0" x2="%.1f" y2="%g"/>`, at(0), at(0), drawBase)
	fmt.Fprintf(&b, `<text x="%.1f" y="%g">restart</text>`, at(0), drawHeight-4)
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="end">%d ms</text></svg>`, drawWidth, drawHeight-4, end)
	return template.HTML(b.String())
}

// drawLatencies draws percentiles by their number of nines against latency,
// both logarithmic: steady time and restart windows.
func drawLatencies(res *Result) template.HTML {
	if res.SteadyHistogram == nil || res.SteadyHistogram.TotalCount() == 0 || res.RestartHistogram.TotalCount() == 0 {
		return ""
	}
	const low, high, nines = 0.1, 10_000.0, 3.5 // ms, and 1-10^-nines
	x := func(n float64) float64 { return 30 + (drawWidth-30)*n/nines }
	y := func(ms float64) float64 {
		return drawBase - drawBase*math.Log(min(max(ms, low), high)/low)/math.Log(high/low)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="latency percentiles">`, drawWidth, drawHeight)
	for _, ms := range []float64{1, 10, 100, 1000} {
		fmt.Fprintf(&b, `<line class="grid" x1="30" y1="%.1f" x2="%g" y2="%.1f"/><text x="26" y="%.1f" text-anchor="end">%g</text>`,
			y(ms), drawWidth, y(ms), y(ms)+4, ms)
	}
	for _, tick := range []struct {
		nines float64
		label string
	}{{0.301, "50 %"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}} {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, x(tick.nines), drawHeight-4, tick.label)
	}
	for _, line := range []struct {
		class string
		of    *Histogram
	}{{"steady", res.SteadyHistogram}, {"window", res.RestartHistogram}} {
		fmt.Fprintf(&b, `<polyline class="%s" points="`, line.class)
		// Beyond the count there is nothing but the maximum.
		most := min(nines, math.Log10(float64(line.of.TotalCount())))
		for n := 0.1; n <= most; n += 0.05 {
			ms := float64(line.of.ValueAtQuantile(100*(1-math.Pow(10, -n)))) / 1000
			fmt.Fprintf(&b, "%.1f,%.1f ", x(n), y(ms))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}
