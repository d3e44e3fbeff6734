// Package cli is the command line: a file per command, and Env, the one value
// through which they see the process.
//
//	Main     parses the arguments, runs a command, turns its error into an exit code
//	Env      stdin, stdout, stderr, arguments, environment, signals, clock
//	wire     puts engine, runtime and stdlib together
//
// Nothing else in the repository reads os.Args, os.Getenv or os.Exit.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Env is the process as commands see it.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	// Signals delivers SIGINT, SIGTERM and SIGHUP until stop is called.
	Signals func() (c <-chan os.Signal, stop func())
	Now     func() time.Time
	// Exit ends the process at once, for a second signal.
	Exit func(code int)
}

// System is the real process.
func System() *Env {
	return &Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Now: time.Now, Exit: os.Exit,
		Signals: func() (<-chan os.Signal, func()) {
			c := make(chan os.Signal, 4)
			signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			return c, func() { signal.Stop(c) }
		},
	}
}

// untilSignal returns a context that ends at the first SIGINT or SIGTERM. A
// second one ends the process at once: what is stored is not lost. SIGHUP
// calls reload, which the other signals do not wait for.
func (e *Env) untilSignal(ctx context.Context, reload func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals, stop := e.Signals()
	go func() {
		defer stop()
		for stopping := false; ; {
			select {
			case s := <-signals:
				switch {
				case s == syscall.SIGHUP:
					go reload()
				case stopping:
					e.Exit(ExitStart)
				default:
					stopping = true
					cancel()
				}
			case <-ctx.Done():
				if stopping {
					s := <-signals // the second signal, if it ever comes
					if s != syscall.SIGHUP {
						e.Exit(ExitStart)
					}
					continue
				}
				return
			}
		}
	}()
	return ctx, cancel
}
