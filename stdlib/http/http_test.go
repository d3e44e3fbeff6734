package http_test

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/http"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
)

type named = declaretest.Named

func TestURLs(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, http.Builtins())
	s.Effect("http_get", "https://x.example")
	s.Effect("http_get", "HTTP://x.example/a%20b?c=d")
	for _, bad := range []string{"", "x.example", "ftp://x", "//x.example", "javascript:1", " https://x"} {
		s.Fails("want https:// or http://", "http_get", bad)
	}
	s.Fails("white space", "http_get", "https://x.example/a b")
	s.Fails("white space", "http_get", "https://x.example/\r\nHost: y")
	s.Fails("the limit is 8192", "http_get", "https://x.example/"+strings.Repeat("a", 8192))
}

func TestSecretsMayBeAnywhereInAURL(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, http.Builtins())
	whole := runtime.Secret{Parts: []runtime.SecretPart{{Name: "HOOK"}}}
	tail := runtime.Secret{Parts: []runtime.SecretPart{{Text: "https://x.example/?k="}, {Name: "K"}}}
	bad := runtime.Secret{Parts: []runtime.SecretPart{{Text: "file:///"}, {Name: "K"}}}
	for _, url := range []runtime.Secret{whole, tail} {
		if _, err := s.Call("http_post", url); err != nil {
			t.Error(err)
		}
	}
	s.Fails("want https:// or http://", "http_post", bad)
}

func TestOneBody(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, http.Builtins())
	s.Fails("json and form exclude each other", "http_post", "https://x", named{"json", nil, "form", &runtime.Dict{}})
	s.Equal(s.Effect("http_post", "https://x", named{"json", runtime.List{int64(1)}}), `http_post {"url":"https://x","json":[1]}`)
}

func TestHeadersCannotSmuggle(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, http.Builtins())
	header := func(name string, v runtime.Value) named { return named{"headers", runtime.NewDict(name, v)} }
	for _, bad := range []string{"", "a b", "a:", "a\r\n", "é", strings.Repeat("a", 129)} {
		s.Fails("not the name of a header", "http_get", "https://x", header(bad, "v"))
	}
	for _, bad := range []string{"a\nb", "a\rb", "a\x00"} {
		s.Fails("line break", "http_get", "https://x", header("X", bad))
	}
	s.Fails("is a list, want a string", "http_get", "https://x", header("X", runtime.List{}))
	s.Equal(s.Effect("http_get", "https://x", header("X-N", int64(1))), `http_get {"url":"https://x","headers":{"X-N":1}}`)
}

func TestTimeoutsAreSecondsHoweverWritten(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, http.Builtins())
	want := `http_get {"url":"https://x","timeout":90.0}`
	for _, d := range []runtime.Value{"90s", "1m30s", int64(90), 90.0, 90 * time.Second} {
		s.Equal(s.Effect("http_get", "https://x", named{"timeout", d}), want)
	}
	s.Fails("timeout", "http_get", "https://x", named{"timeout", int64(0)})
	s.Fails("retry is 6, want 0 to 5", "http_get", "https://x", named{"retry", int64(6)})
	s.Fails("retry is -1", "http_get", "https://x", named{"retry", int64(-1)})
}
