package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// errAddress is wrapped when a destination is refused.
var errAddress = errors.New("address is refused")

// guard decides where scripts may connect to: public addresses, and what the
// configuration lists. It looks at the address that is connected to, after
// DNS, so that no name and no redirect leads anywhere else.
type guard struct{ list atomic.Pointer[allowed] }

// allowed is what the configuration lists. It is immutable.
type allowed struct {
	hosts map[string]bool // "host:port" or "host", lower case
	nets  []netip.Prefix
}

func newGuard(allow []string) (*guard, error) {
	g := &guard{}
	return g, g.set(allow)
}

// set replaces the list.
func (g *guard) set(allow []string) error {
	list, err := newAllowed(allow)
	if err == nil {
		g.list.Store(list)
	}
	return err
}

// newAllowed reads http.allow: "host:port", "host", an address, or a CIDR.
func newAllowed(allow []string) (*allowed, error) {
	g := &allowed{hosts: map[string]bool{}}
	for _, entry := range allow {
		s := strings.ToLower(strings.TrimSpace(entry))
		if p, err := netip.ParsePrefix(s); err == nil {
			g.nets = append(g.nets, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			g.nets = append(g.nets, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = s, ""
		} else if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("http.allow: %q has no port between 1 and 65535", entry)
		}
		if host == "" || strings.ContainsAny(host, "/@ *") {
			return nil, fmt.Errorf("http.allow: want host:port, host, address or CIDR (got %q)", entry)
		}
		g.hosts[s] = true
	}
	return g, nil
}

// listed reports whether the configuration names this destination.
func (g *guard) listed(host, port string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	list := g.list.Load()
	return list.hosts[net.JoinHostPort(host, port)] || list.hosts[host]
}

// checkURL refuses what need not be resolved to be refused: other schemes,
// private addresses, and spellings of addresses that resolvers disagree about
// (2130706433, 0x7f.1, 127.1).
func (g *guard) checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: scheme %.20q", errAddress, u.Scheme)
	}
	host := u.Hostname()
	if host == "" {
		return fmt.Errorf("%w: no host", errAddress)
	}
	if g.listed(host, portOf(u)) {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return g.check(a)
	}
	last := strings.TrimSuffix(host, ".")
	last = strings.ToLower(last[strings.LastIndexByte(last, '.')+1:])
	if strings.HasPrefix(last, "0x") || last != "" && strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("%w: not a canonical address", errAddress)
	}
	if last == "localhost" {
		return fmt.Errorf("%w: loopback", errAddress)
	}
	return nil
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// check refuses an address that is not public and not listed.
func (g *guard) check(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	for _, p := range g.list.Load().nets {
		if p.Contains(a) {
			return nil
		}
	}
	if why := notPublic(a); why != "" {
		return fmt.Errorf("%w: %s", errAddress, why)
	}
	return nil
}

// notPublic says why an address is not one of the public internet, or "".
func notPublic(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "invalid"
	case a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast():
		return "link-local"
	case a.IsMulticast():
		return "multicast"
	}
	for _, r := range reserved {
		if r.prefix.Contains(a) {
			if r.embeds < 0 {
				return r.why
			}
			// What a translator would make of it counts.
			b := a.As16()
			inner := netip.AddrFrom4([4]byte(b[r.embeds : r.embeds+4]))
			if why := notPublic(inner); why != "" {
				return r.why + " to " + why
			}
			return ""
		}
	}
	return ""
}

// reserved are the special ranges that netip has no method for. embeds is the
// place of an IPv4 address inside, or -1.
var reserved = []struct {
	prefix netip.Prefix
	why    string
	embeds int
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network", -1},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared (CGNAT)", -1},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments", -1},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation", -1},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay", -1},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking", -1},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation", -1},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation", -1},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved", -1},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64", 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64", -1},
	{netip.MustParsePrefix("2002::/16"), "6to4", 2},
	{netip.MustParsePrefix("2001::/23"), "protocol assignments", -1},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation", -1},
	{netip.MustParsePrefix("3fff::/20"), "documentation", -1},
	{netip.MustParsePrefix("100::/64"), "discard", -1},
	{netip.MustParsePrefix("5f00::/16"), "segment routing", -1},
	{netip.MustParsePrefix("fec0::/10"), "site-local", -1},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible", -1},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated", 12},
}

type dialHost struct{}

// dial connects like d, to addresses that the guard lets through. trusted is
// the configured proxy's host:port, or "".
func (g *guard) dial(d *net.Dialer, trusted string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	guarded := *d
	guarded.ControlContext = func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		if free, _ := ctx.Value(dialHost{}).(bool); free {
			return nil
		}
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", errAddress, "unreadable")
		}
		return g.check(ap.Addr())
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("%w: no port", errAddress)
		}
		free := addr == trusted || g.listed(host, port)
		return guarded.DialContext(context.WithValue(ctx, dialHost{}, free), network, addr)
	}
}

// HostAllowed reports whether a URL's host is among those of a rule: names,
// with wildcards as in path.Match, with or without a port.
func HostAllowed(hosts []string, u *url.URL) bool {
	if u.Hostname() == "" {
		return false
	}
	for _, glob := range hosts {
		for _, host := range [...]string{u.Hostname(), u.Host} {
			if ok, _ := path.Match(strings.ToLower(glob), strings.ToLower(host)); ok {
				return true
			}
		}
	}
	return false
}
