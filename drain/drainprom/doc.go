// Package drainprom shows the connections of a [drain.Conns] to Prometheus.
//
//	graceport_connections{state}                    gauge, by new, active, idle, hijacked
//	graceport_connections_accepted_total            counter
//	graceport_connections_closed_total{outcome}     counter, by finished, idle, hijacked, forced
//	graceport_draining                              gauge, 1 while draining
//	graceport_drain_seconds                         gauge, how long draining has lasted or took
//	graceport_drain_start_timestamp_seconds         gauge, absent before draining
//	graceport_drain_deadline_timestamp_seconds      gauge, absent before draining
//
// A scrape looks at every connection once and holds up Accept meanwhile.
package drainprom
