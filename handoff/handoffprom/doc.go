// Package handoffprom shows to Prometheus a service whose generations replace
// each other, as one whose counters never fall.
//
// A generation that drains cannot be reached on the port that its successor
// serves. So whoever is scraped gathers from every living generation over its
// control socket (GET /metrics, see handoff.Config.Metrics), and gives each
// series the label generation:
//
//	own := prometheus.NewRegistry() // of this generation
//	all := handoffprom.NewGatherer("/run/hello", nil)
//	http.Handle("/metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{}))
//	cfg := handoff.Config{Dir: "/run/hello", Metrics: promhttp.HandlerFor(own, promhttp.HandlerOpts{})}
//	err := handoff.Run(ctx, cfg, func(ctx context.Context, g *handoff.Generation) error {
//		own.MustRegister(handoffprom.NewCollector(g))
//		defer all.Keep(g, own) // the last numbers, when it has drained
//		...
//
// The collector of one generation has
//
//	graceport_generation_info{version}               gauge, 1
//	graceport_generations{state}                     gauge, 1 for the state it is in
//	graceport_takeovers_total{result}                counter, by completed, given_back, refused, timed_out, died
//	graceport_takeover_phase_duration_seconds{phase} histogram, by the states of a takeover
//	graceport_accept_queue_length{listener}          gauge, of all sockets together; bytes for UDP
//	graceport_accept_queue_limit{listener}           gauge
//	graceport_left_connections_total{listener,kind}  counter, queued or half_open when their socket was closed
//	graceport_strategy_info{listener,strategy}       gauge, 1
//
// # What is guaranteed
//
// The sum of a counter over the generations, sum without(generation), never
// falls: not when generations end, are killed or hang, and whoever is scraped.
// The same holds for the buckets and the count of a histogram, the count of a
// summary, and their sums if no observation is negative. Fractions are subject
// to rounding. No series comes twice.
//
// A scrape takes no longer than Options.Timeout. A generation that does not
// answer within it has the state "silent" and its last known counters, but no
// gauges. One that has ended has its last numbers in the series with the label
// generation="ended", which are the sum of all that ended: those that it left
// by Keep, or else those that were gathered last. So the label has no more
// values than there are living generations, and one.
//
// # Rates
//
// When a generation ends, its whole count moves to generation="ended", which no
// rate of that series alone can tell from an increase. So either leave it out,
// which misses what came between the last scrape and the end,
//
//	sum without(generation) (rate(jobs_total{generation!="ended"}[1m]))
//
// or add up first, in a subquery or a recording rule:
//
//	increase(sum without(generation) (jobs_total)[1h:15s])
//
// # What is kept
//
// In the control directory gen-7.metrics holds the counters of generation 7 as
// they were last seen, and ended.metrics the sums of those that have ended, with
// mode 0600. The first Gather begins it. ended.metrics stays when the service
// stops, as the count of generations does, and holds no more than 20000 series;
// those that a service shows beyond it are lost when their generation ends.
//
// # What is not
//
// What a generation counted between the last scrape and its death by SIGKILL
// is lost. A label value that a service removes itself takes its counts with
// it. If the same name is of different types in two generations, the newer one's
// is shown. If the classic buckets of two differ, one that lacks a bound counts
// there what it has below it; if one has native buckets and the other has not,
// their sum has none. A process that is stopped while it writes keeps the others
// from writing: until it goes on, counters stand still.
package handoffprom
