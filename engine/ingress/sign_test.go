package ingress_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/ingress"
)

// corpus returns the sample corpus, which lies beside the checkout and is not
// part of it.
func corpus(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		root := filepath.Join(dir, "..", "shared", "slack-samples")
		if _, err := os.Stat(root); err == nil {
			return root
		}
	}
	tb.Skip("the sample corpus (../shared/slack-samples) is not here")
	return ""
}

func TestSigningVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(corpus(t), "signing", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Secret, Timestamp, Signature string
		Body                               string `json:"body_base64"`
		Repeat                             struct {
			Byte  string
			Count int
		} `json:"body_repeat"`
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, c := range vectors {
		body, err := base64.StdEncoding.DecodeString(c.Body)
		if err != nil {
			t.Fatal(err)
		}
		if c.Repeat.Count > 0 {
			body = bytes.Repeat([]byte(c.Repeat.Byte), c.Repeat.Count)
		}
		if got := ingress.Sign(c.Secret, c.Timestamp, body); got != c.Signature {
			t.Errorf("%s: Sign is %s, want %s", c.Name, got, c.Signature)
		}
		seconds, err := strconv.ParseInt(strings.TrimSpace(c.Timestamp), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		v := ingress.NewVerifier(5*time.Minute, ingress.Secret{App: "a", Value: c.Secret})
		canonical := c.Timestamp == strconv.FormatInt(seconds, 10)
		if _, ok := v.Verify([]byte(c.Signature), []byte(c.Timestamp), body, time.Unix(seconds, 0)); ok != canonical {
			t.Errorf("%s: verified %t, want %t", c.Name, ok, canonical)
		}
		if _, ok := v.Verify([]byte(c.Signature), []byte(c.Timestamp), append(body, 'x'), time.Unix(seconds, 0)); ok {
			t.Errorf("%s: another body verified", c.Name)
		}
	}
}

func TestSlacksPublishedExample(t *testing.T) {
	t.Parallel()
	const body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	if got := ingress.Sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", []byte(body)); got != "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503" {
		t.Error(got)
	}
}

func TestOnlyCanonicalFormsInsideTheWindowVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{"a":1}`)
	now := time.Unix(1700000000, 999_000_000)
	stamp := func(d int64) string { return strconv.FormatInt(now.Unix()+d, 10) }
	good := func(ts string) string { return ingress.Sign(secret, ts, body) }
	for name, c := range map[string]struct {
		ts, sig string
		want    bool
	}{
		"now":                 {stamp(0), good(stamp(0)), true},
		"300 s old":           {stamp(-300), good(stamp(-300)), true},
		"301 s old":           {stamp(-301), good(stamp(-301)), false},
		"300 s ahead":         {stamp(300), good(stamp(300)), true},
		"301 s ahead":         {stamp(301), good(stamp(301)), false},
		"leading zero":        {"0" + stamp(0), good("0" + stamp(0)), false},
		"plus":                {"+" + stamp(0), good("+" + stamp(0)), false},
		"space":               {" " + stamp(0), good(" " + stamp(0)), false},
		"fraction":            {stamp(0) + ".0", good(stamp(0) + ".0"), false},
		"exponent":            {"17e8", good("17e8"), false},
		"overflow":            {strings.Repeat("9", 40), good(strings.Repeat("9", 40)), false},
		"negative":            {"-1", good("-1"), false},
		"empty time":          {"", good(""), false},
		"not a number":        {"soon", good("soon"), false},
		"time of another":     {stamp(1), good(stamp(0)), false},
		"upper case digits":   {stamp(0), "v0=" + strings.ToUpper(good(stamp(0))[3:]), false},
		"upper case version":  {stamp(0), "V0=" + good(stamp(0))[3:], false},
		"version 1":           {stamp(0), "v1=" + good(stamp(0))[3:], false},
		"no version":          {stamp(0), good(stamp(0))[3:], false},
		"short":               {stamp(0), good(stamp(0))[:66], false},
		"long":                {stamp(0), good(stamp(0)) + "0", false},
		"empty signature":     {stamp(0), "", false},
		"not hexadecimal":     {stamp(0), "v0=" + strings.Repeat("g", 64), false},
		"last digit is wrong": {stamp(0), flipLast(good(stamp(0))), false},
	} {
		v := ingress.NewVerifier(5*time.Minute, ingress.Secret{App: "a", Value: secret})
		if _, ok := v.Verify([]byte(c.sig), []byte(c.ts), body, now); ok != c.want {
			t.Errorf("%s: %t, want %t", name, ok, c.want)
		}
	}
}

func flipLast(s string) string {
	b := []byte(s)
	if b[len(b)-1]++; b[len(b)-1] == 'g' || b[len(b)-1] == ':' {
		b[len(b)-1] = '0'
	}
	return string(b)
}

func TestEachOfSeveralSecretsNamesItsApp(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	v := ingress.NewVerifier(
		5*time.Minute,
		ingress.Secret{App: "one", Value: "s1"}, ingress.Secret{App: "none", Value: ""},
		ingress.Secret{App: "two", Value: "s2"}, ingress.Secret{App: "two again", Value: "s2"},
	)
	check := func(secret, app string, want bool) {
		t.Helper()
		got, ok := v.Verify([]byte(ingress.Sign(secret, "1700000000", []byte("x"))), []byte("1700000000"), []byte("x"), now)
		if got != app || ok != want {
			t.Errorf("secret %q: %q %t", secret, got, ok)
		}
	}
	check("s1", "one", true)
	check("s2", "two", true)
	check("s3", "", false)
	check("", "", false)
	v.SetSecrets(ingress.Secret{App: "three", Value: "s3"})
	check("s3", "three", true)
	check("s1", "", false)
	v.SetSecrets()
	check("s3", "", false)
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := ingress.Secret{App: "a", Value: "hush"}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s", s, s, s, s), s.LogValue().String()} {
		if strings.Contains(text, "hush") {
			t.Error(text)
		}
	}
}

func TestVerifyAllocatesNothing(t *testing.T) {
	body := bytes.Repeat([]byte("a"), 1200)
	sig, ts, now := []byte(ingress.Sign(secret, "1700000000", body)), []byte("1700000000"), time.Unix(1700000000, 0)
	v := ingress.NewVerifier(5*time.Minute, ingress.Secret{App: "a", Value: secret}, ingress.Secret{App: "b", Value: "x"})
	verify := func() {
		if _, ok := v.Verify(sig, ts, body, now); !ok {
			t.Fatal("not verified")
		}
	}
	// The least of some runs: under the race detector pools lose things.
	least := 1.0
	for range 50 {
		least = min(least, testing.AllocsPerRun(1, verify))
	}
	if least != 0 {
		t.Errorf("%v allocations", least)
	}
}

func TestSignatureHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	ts := strconv.FormatInt(at.Unix(), 10)
	sig := ingress.Sign(secret, ts, []byte(message))
	tsLine, sigLine := "X-Slack-Request-Timestamp: "+ts, "X-Slack-Signature: "+sig
	var bodies []string
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"both":              {[]string{tsLine, sigLine}, 200},
		"other letter case": {[]string{"x-slack-request-timestamp: " + ts, "X-SLACK-SIGNATURE: " + sig}, 200},
		"no time":           {[]string{sigLine}, 401},
		"no signature":      {[]string{tsLine}, 401},
		"time twice":        {[]string{tsLine, tsLine, sigLine}, 401},
		"signature twice":   {[]string{tsLine, sigLine, sigLine}, 401},
		"two signatures":    {[]string{tsLine, "X-Slack-Signature: v0=" + strings.Repeat("0", 64), sigLine}, 401},
		"list":              {[]string{tsLine, sigLine + ", " + sig}, 401},
		"wrong":             {[]string{tsLine, "X-Slack-Signature: v0=" + strings.Repeat("0", 64)}, 401},
		"stale": {[]string{
			"X-Slack-Request-Timestamp: 1600000000", "X-Slack-Signature: " + ingress.Sign(secret, "1600000000", []byte(message)),
		}, 401},
	} {
		s := &sink{}
		r := do(t, start(t, s, nil), request{body: message, unsigned: true, header: c.header})
		if r.status != c.status || len(s.all()) != map[int]int{200: 1, 401: 0}[c.status] {
			t.Errorf("%s: %d with %d events", name, r.status, len(s.all()))
		}
		if r.status == 401 {
			bodies = append(bodies, r.body)
		}
	}
	for _, b := range bodies {
		if b != bodies[0] {
			t.Errorf("401 says %q and %q", b, bodies[0])
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("v0=00"), []byte("1700000000"), []byte("body"))
	f.Add([]byte(ingress.Sign(secret, "1700000000", nil)), []byte("1700000000"), []byte(""))
	f.Add([]byte("v0="+strings.Repeat("a", 64)), []byte("01700000000"), []byte("x"))
	now := time.Unix(1700000000, 0)
	v := ingress.NewVerifier(5*time.Minute, ingress.Secret{App: "a", Value: secret})
	f.Fuzz(func(t *testing.T, sig, ts, body []byte) {
		_, ok := v.Verify(sig, ts, body, now)
		n, err := strconv.ParseInt(string(ts), 10, 64)
		want := err == nil && strconv.FormatInt(n, 10) == string(ts) && n >= now.Unix()-300 && n <= now.Unix()+300 &&
			string(sig) == ingress.Sign(secret, string(ts), body)
		if ok != want {
			t.Errorf("Verify(%q, %q, %q) is %t", sig, ts, body, ok)
		}
	})
}
