package slackapi_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// samples finds the directory with recorded answers of Slack, above the checkout.
func samples(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if p := filepath.Join(dir, "shared", "slack-samples", "api"); isDir(p) {
			return p
		}
		dir = filepath.Dir(dir)
	}
	t.Skip("no slack-samples beside the checkout")
	return ""
}

func isDir(p string) bool { st, err := os.Stat(p); return err == nil && st.IsDir() }

func TestSampleAnswers(t *testing.T) {
	t.Parallel()
	root, seen := samples(t), 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "shapes" {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		status := 200
		if strings.HasPrefix(d.Name(), "http-503") {
			status = 503
		}
		seen++
		synctest.Test(t, func(t *testing.T) {
			c := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) { return status, nil, string(body) }),
				func(o *slackapi.Options) { o.Throttles = 1 })
			r, err := c.Call(t.Context(), "chat.postMessage", nil, quick)
			if err != nil {
				t.Fatal(err)
			}
			v, perr := runtime.ParseJSON(body)
			sent, _ := v.(*runtime.Dict)
			ok, has := sent.Get("ok")
			switch {
			case status != 200:
				if r.OK || r.Error != "http_503" {
					t.Errorf("%s: %+v", d.Name(), r)
				}
			case perr != nil || !has:
				if r.OK || r.Error != "invalid_response" {
					t.Errorf("%s: %+v", d.Name(), r)
				}
			case r.OK != (ok == true), ok == true && string(r.Body) != string(body), ok != true && r.Error != sent.Text("error"):
				t.Errorf("%s: %+v", d.Name(), r)
			}
		})
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d samples, %v", seen, err)
	}
}
