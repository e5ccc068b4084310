// Package drainprom shows the connections of a [drain.Conns] to Prometheus.
//
//	graceport_connections{listener,state}                gauge, by new, active, idle, hijacked
//	graceport_connections_accepted_total{listener}       counter
//	graceport_connections_closed_total{listener,reason}  counter, by finished, idle, cut, forced
//	graceport_draining                                   gauge, 1 while draining
//	graceport_drain_start_timestamp_seconds              gauge, absent before draining
//	graceport_drain_deadline_timestamp_seconds           gauge, absent before draining
//	graceport_drain_duration_seconds                     histogram, classic and native, of drains that ended
//
// The listener is drain.ListenerOptions.Name, so a listener without a name has
// no such label. A scrape looks at every connection once and holds up Accept
// meanwhile.
//
// Durations are in seconds, times in Unix time.
//
//	registry.MustRegister(drainprom.NewCollector(conns))
//
// A generation that drains is not scraped on the port that it served. Package
// handoffprom merges the metrics of all generations. The folder of this package
// has a Grafana dashboard and alert rules.
package drainprom
