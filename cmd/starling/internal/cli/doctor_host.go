package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/starling-rules/starling/engine/manifest"
	"github.com/starling-rules/starling/runtime"
)

// configuration shows what is wrong with it, all at once.
func (d *doctor) configuration(problems runtime.Errors) {
	const check = "configuration"
	for _, p := range problems {
		d.fail(check, p.Detail(), "")
	}
	for _, w := range d.cfg.Warnings {
		d.warn(check, w, "")
	}
	if len(problems) == 0 {
		d.ok(check, "%s", or(d.cfg.File, "no file: defaults and environment"))
	}
}

// rules loads them, in the sandbox of the configuration, and returns what they
// need of Slack; nil if that cannot be told.
func (d *doctor) rules(ctx context.Context) *manifest.Result {
	const check = "rules"
	quiet := *d.c
	env := *d.c.env
	env.Stderr = discard{}
	quiet.env = &env
	off, err := quiet.offline(ctx, d.cfg)
	if err != nil {
		d.fail(check, err.Error(), "")
		return nil
	}
	defer off.Close(ctx)
	rep := off.Report()
	for _, f := range rep.Files {
		if len(f.Errors) > 0 {
			d.fail(check, f.Errors.Detail(), "starling check tells more")
		}
	}
	switch {
	case rep.Errors > 0:
	case rep.Rules == 0:
		d.warn(check, "none in "+strings.Join(d.cfg.Rules, ", "), "starling init makes some, --rules names another directory")
	default:
		d.ok(check, "%s in %s, in sandbox %s", counted(rep.Rules, "rule", "rules"), counted(len(rep.Files), "file", "files"), d.cfg.Sandbox)
	}
	calls, err := rulesCalls(off.Rules(), off.Bundle)
	if err != nil {
		return nil
	}
	d.secrets(calls)
	var uses []manifest.Use
	for _, a := range calls {
		uses = append(uses, manifest.Uses(a)...)
	}
	need, err := manifest.Build(off.Rules(), uses, manifest.Options{Socket: true})
	if err != nil {
		return nil
	}
	return need
}

// discard drops what is written.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// secrets looks for those that scripts name and the configuration lacks.
func (d *doctor) secrets(calls []*runtime.Analysis) {
	var missing []string
	named := 0
	for _, a := range calls {
		for _, c := range a.Calls {
			if c.Name != "secret" || len(c.Args) == 0 {
				continue
			}
			name, ok := c.Args[0].Value.(string)
			if !ok {
				continue
			}
			named++
			_, there := d.cfg.Secrets[name]
			_, ofHandler := d.cfg.Handlers.Secrets[name]
			if !there && !ofHandler && !slices.Contains(missing, name) {
				missing = append(missing, name)
				d.fail("secrets", fmt.Sprintf("%s, which %s names, is not configured", name, c.Pos), "add it under secrets: in starling.yaml")
			}
		}
	}
	if named > 0 && len(missing) == 0 {
		d.ok("secrets", "all that scripts name are configured")
	}
}

// store looks whether the store can be written, and what space there is.
func (d *doctor) store() {
	const check = "store"
	if u := d.cfg.Queue.URL; u != "" {
		d.cluster(check, u)
		return
	}
	dir := d.cfg.Data
	if dir == "" {
		d.warn(check, "in memory: nothing survives a restart", "name a directory with --data")
		return
	}
	there, missing := dir, false
	for {
		if _, err := os.Stat(there); err == nil {
			break
		}
		missing = true
		up := filepath.Dir(there)
		if up == there {
			break
		}
		there = up
	}
	f, err := os.CreateTemp(there, ".starling-doctor-")
	if err != nil {
		d.fail(check, "nothing can be written in "+there+": "+unwrapped(err), "give the server's user the right to, or name another directory with --data")
		return
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	free, total, err := space(there)
	if err != nil {
		d.warn(check, "the free space of "+there+" cannot be told: "+unwrapped(err), "")
		return
	}
	text := fmt.Sprintf("%s is writable, %s free", dir, bytesText(int64(free)))
	if missing {
		text = fmt.Sprintf("%s will be made, %s free", dir, bytesText(int64(free)))
	}
	switch least := max(total/20, 500_000_000); {
	case free < least:
		d.fail(check, text+": the server takes no events with less than "+bytesText(int64(least)), "make room, or name another directory with --data")
	case free < uint64(d.cfg.Queue.MaxBytes):
		d.warn(check, text+", less than queue.max_bytes ("+bytesText(int64(d.cfg.Queue.MaxBytes))+")", "make room, or lower queue.max_bytes")
	default:
		d.ok(check, "%s", text)
	}
}

// cluster looks whether any server of a NATS cluster can be reached.
func (d *doctor) cluster(check, urls string) {
	var last error
	up, all := 0, strings.Split(urls, ",")
	for _, raw := range all {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.Host == "" {
			u = &url.URL{Host: strings.TrimSpace(raw)}
		}
		host := u.Host
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "4222")
		}
		conn, err := net.DialTimeout("tcp", host, 3*time.Second)
		if err != nil {
			last = err
			continue
		}
		_ = conn.Close()
		up++
	}
	switch {
	case up == 0:
		d.fail(check, "no server of the cluster can be reached: "+unwrapped(last), "look at queue.url and the network")
	case up < len(all):
		d.warn(check, fmt.Sprintf("%d of %d servers of the cluster can be reached: %s", up, len(all), unwrapped(last)), "look at queue.url and the network")
	default:
		d.ok(check, "%s of the cluster can be reached", counted(up, "server", "servers"))
	}
}

// ports looks whether the addresses are free, or taken by a server of ours.
func (d *doctor) ports(ctx context.Context) {
	running := d.healthy(ctx)
	for _, p := range []struct{ check, addr string }{{"listen", d.cfg.Listen}, {"admin", d.cfg.Admin}} {
		if p.addr == "" {
			continue
		}
		ln, err := net.Listen("tcp", p.addr)
		switch {
		case err == nil:
			_ = ln.Close()
			d.ok(p.check, "%s is free", p.addr)
		case errors.Is(err, syscall.EADDRINUSE) && running:
			d.ok(p.check, "%s is served: a server is running", p.addr)
		case errors.Is(err, syscall.EADDRINUSE):
			d.fail(p.check, p.addr+" is in use by another program", "stop it, or choose another address with --"+p.check)
		case errors.Is(err, syscall.EACCES):
			d.fail(p.check, "no right to listen on "+p.addr, "choose a port above 1023, or give the program the capability CAP_NET_BIND_SERVICE")
		default:
			d.fail(p.check, "cannot listen on "+p.addr+": "+unwrapped(err), "choose another address with --"+p.check)
		}
	}
}

// healthy reports whether a server answers on the admin address.
func (d *doctor) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.cfg.Admin+"/healthz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// certificate looks at that of Listen.
func (d *doctor) certificate() {
	const check = "certificate"
	t := d.cfg.TLS
	if t.Cert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		d.fail(check, "cannot be loaded: "+err.Error(), "look at tls.cert and tls.key")
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		d.fail(check, "cannot be read: "+err.Error(), "")
		return
	}
	switch left := leaf.NotAfter.Sub(d.c.env.Now()); {
	case left <= 0:
		d.fail(check, "expired on "+leaf.NotAfter.Format(time.DateOnly), "renew it")
	case left < 14*24*time.Hour:
		d.warn(check, "expires on "+leaf.NotAfter.Format(time.DateOnly), "renew it")
	default:
		d.ok(check, "valid until %s", leaf.NotAfter.Format(time.DateOnly))
	}
}

// limits looks at what the system allows: files, and memory for the workers.
func (d *doctor) limits() {
	if n, ok := openFiles(); ok {
		switch {
		case n < 1024:
			d.warn("open files", fmt.Sprintf("at most %d", n), "raise the limit (ulimit -n, LimitNOFILE=) to 4096 or more")
		default:
			d.ok("open files", "at most %d", n)
		}
	}
	workers := d.cfg.Workers
	if workers == 0 {
		workers = goruntime.NumCPU()
	}
	need := int64(workers) * int64(d.cfg.Limits.Memory)
	have, from := memory()
	switch {
	case have == 0:
	case d.cfg.Sandbox == "none":
		d.ok("memory", "%s%s", bytesText(have), from)
	case have < need:
		d.warn("memory", fmt.Sprintf("%s%s, and %s may take %s each", bytesText(have), from, counted(workers, "worker", "workers"), bytesText(int64(d.cfg.Limits.Memory))),
			"lower limits.memory or workers, or give it more memory")
	default:
		d.ok("memory", "%s%s; %s may take %s each", bytesText(have), from, counted(workers, "worker", "workers"), bytesText(int64(d.cfg.Limits.Memory)))
	}
}

// memory is what the process may use: the limit of its control group, else
// that of the machine; 0 if that cannot be told.
func memory() (bytes int64, from string) {
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return n, " (of the control group)"
		}
	}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, ""
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return kb << 10, ""
			}
		}
	}
	return 0, ""
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.size)), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
