package handoffprom

import (
	"strconv"

	dto "github.com/prometheus/client_model/go"
)

const (
	generationLabel = "generation"
	// endedValue is the label's value for the generations that have ended.
	endedValue = "ended"
)

// merge adds the series of one generation to all, with the label. The first
// to be merged, the newest, determine a family's type and help.
func merge(all, of families, generation string) {
	for name, f := range of {
		into := all[name]
		if into == nil {
			into = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
			all[name] = into
		}
		if into.GetType() != f.GetType() {
			continue
		}
		for _, m := range f.Metric {
			label(m, generation)
			into.Metric = append(into.Metric, m)
		}
	}
}

// label adds the label generation. A label of that name that a service gives
// itself is renamed, as Prometheus does it when it scrapes.
func label(m *dto.Metric, generation string) {
	rename(m, generationLabel)
	m.Label = append(m.Label, &dto.LabelPair{Name: new(generationLabel), Value: new(generation)})
	sortLabels(m)
}

func rename(m *dto.Metric, name string) {
	for _, l := range m.Label {
		if l.GetName() == name {
			rename(m, "exported_"+name)
			l.Name = new("exported_" + name)
			return
		}
	}
}

// silence adds a generation that does not answer.
func silence(all families, generation int, state string) {
	merge(all, families{generationsName: {
		Name: new(generationsName), Help: new(generationsHelp), Type: new(dto.MetricType_GAUGE),
		Metric: []*dto.Metric{{
			Label: []*dto.LabelPair{{Name: new("state"), Value: new(state)}},
			Gauge: &dto.Gauge{Value: new(1.0)},
		}},
	}}, strconv.Itoa(generation))
}
