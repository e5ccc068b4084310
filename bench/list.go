package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
)

// List writes what can run here, what to install for the rest, and what each
// scenario shows. Of o only Peers and Target matter; nil means none. The error is
// that of w.
func List(ctx context.Context, w io.Writer, o *Options) error {
	if o == nil {
		o = &Options{}
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "methods:\n")
	for _, m := range o.methods() {
		state := "runs"
		if m.needs != nil {
			if err := m.needs(ctx); err != nil {
				state = "not here: " + err.Error()
			}
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", m.name, m.summary, state)
	}
	for _, p := range absent(o.Peers) {
		fmt.Fprintf(t, "  %s\t%s\tnot here: %s\n", p.name, p.library, howToBuildPeers)
	}
	fmt.Fprint(t, "\t\t\nscenarios:\t\t\n")
	for _, s := range scenarios() {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.name, s.summary, s.shows)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(&b, "\nOther servers join with -peer NAME=COMMAND, a service of yours is measured with -target.\n")
	_, err := w.Write(b.Bytes())
	return err
}
