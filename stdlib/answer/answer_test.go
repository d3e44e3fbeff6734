package answer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/answer"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
)

type named = declaretest.Named

func TestReply(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, answer.Builtins())
	s.Equal(s.JSON("http_reply"), `{"$http":{"status":200}}`)
	s.Equal(s.JSON("http_reply", int64(404), "no", named{"headers", runtime.NewDict("X-A", int64(1))}),
		`{"$http":{"status":404,"body":"no","headers":{"X-A":"1"}}}`)
	s.Fails("exclude each other", "http_reply", int64(200), "a", named{"json", true})
	s.Fails("status is 600", "http_reply", int64(600))
	s.Fails("has no JSON form", "http_reply", named{"json", runtime.Func{}})
	s.Fails("is not for scripts", "http_reply", named{"headers", runtime.NewDict("Content-LENGTH", "1")})
	s.Fails("not the name of a header", "http_reply", named{"headers", runtime.NewDict("a b", "1")})
	s.Fails("more than", "http_reply", named{"json", runtime.List{strings.Repeat("x", 5<<20)}})
}

func TestCookies(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, answer.Builtins())
	full := runtime.NewDict("value", "v", "path", "/", "max_age", int64(60), "secure", true, "http_only", true, "same_site", "Lax", "domain", nil)
	s.Equal(s.JSON("http_reply", named{"cookies", runtime.NewDict("a", full, "b", "w")}),
		`{"$http":{"status":200,"cookies":{"a":"v; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax","b":"w"}}}`)
	for _, bad := range []string{"a;b", "a\r\nb", "a b", `"`} {
		s.Fails("would end it", "http_reply", named{"cookies", runtime.NewDict("a", bad)})
		s.Fails("would end it", "http_reply", named{"cookies", runtime.NewDict("a", runtime.NewDict("value", bad))})
	}
	s.Fails("would end it", "http_reply", named{"cookies", runtime.NewDict("a", runtime.NewDict("value", "v", "path", "/; Secure"))})
	s.Fails("no attribute", "http_reply", named{"cookies", runtime.NewDict("a", runtime.NewDict("value", "v", "expires", "x"))})
	s.Fails("not the name of a cookie", "http_reply", named{"cookies", runtime.NewDict("a=b", "v")})
}

func TestAbortIsAnErrorOfItsOwnKind(t *testing.T) {
	t.Parallel()
	s := declaretest.New(t, answer.Builtins())
	_, err := s.Call("abort", int64(409), "busy")
	var e *runtime.Error
	if !errors.As(err, &e) || e.Kind != runtime.AbortError || e.Status != 409 || e.Msg != "busy" {
		t.Fatalf("got %#v", err)
	}
	for _, bad := range []int64{0, 200, 399, 600} {
		_, err := s.Call("abort", bad)
		if errors.As(err, &e) && e.Kind == runtime.AbortError {
			t.Errorf("abort(%d) passes", bad)
		}
	}
}
