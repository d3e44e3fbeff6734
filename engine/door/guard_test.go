package door

import (
	"errors"
	"net/netip"
	"net/url"
	"testing"
)

func TestGuardAddresses(t *testing.T) {
	t.Parallel()
	g, err := newGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{
		"127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1",
		"203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:7f00:1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff01::1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:db8::1", "100::1",
	} {
		if err := g.check(netip.MustParseAddr(a)); !errors.Is(err, errAddress) {
			t.Errorf("%s is let through (%v)", a, err)
		}
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"} {
		if err := g.check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s is refused: %v", a, err)
		}
	}
}

func TestGuardURLs(t *testing.T) {
	t.Parallel()
	g, err := newGuard([]string{"ci.internal:8443", "wiki.internal", "10.1.0.0/16", "[::1]:9000", "127.0.0.5"})
	if err != nil {
		t.Fatal(err)
	}
	for raw, ok := range map[string]bool{
		"https://example.com/":              true,
		"https://ci.internal:8443/x":        true,
		"https://CI.internal:8443/x":        true,
		"http://wiki.internal:1234/":        true,
		"http://10.1.2.3/":                  true,
		"http://10.2.2.3/":                  false,
		"http://[::1]:9000/":                true,
		"http://[::1]:9001/":                false,
		"http://127.0.0.5:1/":               true,
		"http://127.0.0.1/":                 false,
		"http://localhost/":                 false,
		"http://LOCALHOST:8080/":            false,
		"http://foo.localhost/":             false,
		"http://localhost./":                false,
		"http://2130706433/":                false,
		"http://0x7f000001/":                false,
		"http://0x7f.1/":                    false,
		"http://0177.0.0.1/":                false,
		"http://127.1/":                     false,
		"http://127.0.0.1./":                false,
		"http://010.0.0.1/":                 false,
		"http://[::ffff:7f00:1]/":           false,
		"http://[0:0:0:0:0:ffff:127.0.0.1]": false,
		"http://[fe80::1%25eth0]/":          false,
		"http://user@127.0.0.1/":            false,
		"ftp://example.com/":                false,
		"file:///etc/passwd":                false,
		"gopher://example.com/":             false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.checkURL(u); (err == nil) != ok {
			t.Errorf("%s: %v, want ok %v", raw, err, ok)
		}
	}
}

func TestGuardRefusesBadLists(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"host:port", "host:0", "host:99999", "http://x/", "", "*.internal", "a b", "user@host"} {
		if _, err := newGuard([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
