// Command graceport is the operator's tool for services that are replaced
// while they serve. Run "graceport help" for its commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// A command is one subcommand. Its file adds it to the table in commands.
type command struct {
	name    string
	summary string // one line, for the list of commands
	usage   string // what follows the name, such as "[flags] DIR"
	help    string // some paragraphs, with an example
	run     func(ctx context.Context, args []string) int
}

// Exit statuses of every command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func commands() []*command {
	return []*command{
		benchCommand(),
		statusCommand(),
		upgradeCommand(),
		shareCommand(),
		rollbackCommand(),
		stopCommand(),
		metricsCommand(),
		doctorCommand(),
		runCommand(),
	}
}

func main() {
	// Signals are each command's own affair: some forward what others obey.
	os.Exit(dispatch(context.Background(), os.Args[1:]))
}

func dispatch(ctx context.Context, args []string) int {
	if len(args) == 0 {
		overview(os.Stderr)
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 0 {
			overview(os.Stdout)
			return exitOK
		}
		name, args = args[0], []string{"-h"}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args)
		}
	}
	fmt.Fprintf(os.Stderr, "graceport: no command %q; \"graceport help\" lists them\n", name)
	return exitUsage
}

func overview(w io.Writer) {
	fmt.Fprint(w, "Replace a running Linux service by its next build without losing a connection.\n\nusage: graceport COMMAND [flags] [arguments]\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(t, "  %s\t%s\n", c.name, c.summary)
	}
	t.Flush()
	fmt.Fprint(w, "\n\"graceport COMMAND -h\" tells more, with an example.\n")
}

// flags returns an empty flag set whose help is the command's.
func (c *command) flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse prints; the flag package would print twice
	return fs
}

// parse parses args, of which between least and most may remain after the
// flags; most < 0 sets no limit. When done is true the command returns status.
func (c *command) parse(fs *flag.FlagSet, args []string, least, most int) (status int, done bool) {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		c.printHelp(os.Stdout, fs)
		return exitOK, true
	}
	if n := fs.NArg(); err == nil && n < least {
		err = errors.New("an argument is missing")
	} else if err == nil && most >= 0 && n > most {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(most))
	}
	if err != nil {
		return c.misused(err), true
	}
	return exitOK, false
}

func (c *command) printHelp(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "usage: graceport %s %s\n\n%s\n", c.name, c.usage, c.help)
	any := false
	fs.VisitAll(func(*flag.Flag) { any = true })
	if any {
		fmt.Fprint(w, "\nFlags:\n")
		fs.SetOutput(w)
		fs.PrintDefaults()
	}
}

// misused and failed report err and return the exit status.
func (c *command) misused(err error) int {
	fmt.Fprintf(os.Stderr, "graceport %s: %v\nusage: graceport %s %s\n\"graceport %s -h\" tells more\n", c.name, err, c.name, c.usage, c.name)
	return exitUsage
}

func (c *command) failed(err error) int {
	// A package of the command's name has already said it.
	fmt.Fprintf(os.Stderr, "graceport %s: %s\n", c.name, strings.TrimPrefix(err.Error(), c.name+": "))
	return exitFailed
}
