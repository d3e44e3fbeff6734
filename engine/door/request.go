package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/runtime"
)

// spec is a request as the script wants it, secrets in place.
type spec struct {
	method  string
	url     *url.URL
	header  http.Header
	host    string
	body    []byte
	timeout time.Duration
	hosts   []string // where redirects may lead; empty: anywhere
}

// keyHeader is spelled in lower case on purpose: net/http takes a request with
// a canonical Idempotency-Key for one that it may send again by itself, and
// only retry= shall decide that.
const keyHeader = "idempotency-key"

// spec checks the arguments of a request. Its errors are raised in the script.
func (h *HTTP) spec(method, key string, args *runtime.Dict) (*spec, error) {
	s := &spec{method: method, header: http.Header{}, timeout: h.o.Timeout}
	if s.method == "" {
		s.method = strings.ToUpper(args.Text("method"))
	}
	switch s.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return nil, fmt.Errorf("method %.20q cannot be used", s.method)
	}
	if err := s.setURL(args); err != nil {
		return nil, err
	}
	if err := s.setBody(args); err != nil {
		return nil, err
	}
	s.header[keyHeader] = []string{key}
	s.header.Set("User-Agent", "starling")
	if err := s.setHeaders(dict(args, "headers")); err != nil {
		return nil, err
	}
	if v, ok := args.Get("timeout"); ok && v != nil {
		d, err := runtime.ToDuration(v)
		if err != nil || d <= 0 {
			return nil, errors.New("timeout: want a duration such as \"5s\"")
		}
		s.timeout = min(d, h.o.MaxTimeout)
	}
	return s, nil
}

func (s *spec) setURL(args *runtime.Dict) error {
	u, err := url.Parse(strings.TrimSpace(args.Text("url")))
	if err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		// The error of url.Parse would repeat the URL with the secrets in it.
		return errors.New("url: want https://host/path")
	}
	u.Fragment, u.RawFragment = "", ""
	if p := dict(args, "params"); p.Len() > 0 {
		q, err := formOf(p)
		if err != nil {
			return fmt.Errorf("params: %w", err)
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += q
	}
	// net/url keeps a raw query as it is, spaces and all.
	u.RawQuery = redact.EscapeQuery(u.RawQuery)
	s.url = u
	return nil
}

func (s *spec) setBody(args *runtime.Dict) (err error) {
	given := 0
	if v, ok := args.Get("json"); ok {
		given++
		if s.body, err = runtime.AppendJSON(nil, v); err != nil {
			return fmt.Errorf("json: %w", err)
		}
		s.header.Set("Content-Type", "application/json")
	}
	if v, ok := args.Get("form"); ok && v != nil {
		given++
		f, err := formOf(dict(args, "form"))
		if err != nil {
			return fmt.Errorf("form: %w", err)
		}
		s.body = []byte(f)
		s.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v, ok := args.Get("body"); ok && v != nil {
		given++
		s.body = content(args, "body")
		if _, text := v.(string); text {
			s.header.Set("Content-Type", "text/plain; charset=utf-8")
		}
	}
	if given > 1 {
		return errors.New("json, form and body exclude each other")
	}
	return nil
}

// formOf encodes a dict in its order; a list gives its key several times.
func formOf(d *runtime.Dict) (string, error) {
	var b strings.Builder
	put := func(k, v string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(k) + "=" + url.QueryEscape(v))
	}
	for i := 0; i < d.Len(); i++ {
		f := d.Fields[i]
		list, ok := plain(f.Value).([]runtime.Value)
		if !ok {
			list = []runtime.Value{f.Value}
		}
		for _, v := range list {
			if v == nil {
				continue
			}
			s, err := scalarText(v)
			if err != nil {
				return "", fmt.Errorf("%s: %w", f.Key, err)
			}
			put(f.Key, s)
		}
	}
	return b.String(), nil
}

func scalarText(v runtime.Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("want text or a number, not a %s", runtime.TypeName(v))
}

// setHeaders takes the script's headers. Those that frame the message are
// net/http's own.
func (s *spec) setHeaders(d *runtime.Dict) error {
	for i := 0; i < d.Len(); i++ {
		f := d.Fields[i]
		v, err := scalarText(f.Value)
		if err != nil {
			return fmt.Errorf("header %.40q: %w", f.Key, err)
		}
		if f.Key == "" || strings.ContainsAny(f.Key, " \t\r\n:\x00") || strings.ContainsAny(v, "\r\n\x00") {
			return fmt.Errorf("header %.40q: not a legal header", f.Key)
		}
		switch strings.ToLower(f.Key) {
		case "host":
			s.host = v
		case "connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "trailer",
			"proxy-authorization", "proxy-connection", "expect":
			return fmt.Errorf("header %s cannot be set", f.Key)
		case keyHeader:
			s.header[keyHeader] = []string{v}
		default:
			s.header.Set(f.Key, v)
		}
	}
	return nil
}

// response is what came of one attempt.
type response struct {
	status int
	header http.Header
	body   []byte
	code   string // of what went wrong
	detail string
	after  time.Duration
}

// attempt sends the request once. The timeout covers all of it, redirects and
// body included.
func (h *HTTP) attempt(ctx context.Context, s *spec) response {
	if err := h.guard.checkURL(s.url); err != nil {
		return response{code: "address_refused", detail: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var body io.Reader
	if len(s.body) > 0 {
		body = bytes.NewReader(s.body)
	}
	req, err := http.NewRequestWithContext(ctx, s.method, s.url.String(), body)
	if err != nil {
		return response{code: "bad_request", detail: "the request cannot be written"}
	}
	req.Header = s.header.Clone()
	if s.host != "" {
		req.Host = s.host
	}
	client := http.Client{Transport: h.transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		return h.redirect(s, next, via)
	}}
	resp, err := client.Do(req)
	if err != nil {
		return lost(err)
	}
	defer resp.Body.Close()
	return h.read(resp)
}

var (
	errRedirects = errors.New("too many redirects")
	errDowngrade = errors.New("redirect from https to http")
	errCarry     = errors.New("redirect would carry the body to another host")
	errHosts     = errors.New("redirect to a host that is not among the rule's hosts")
)

// redirect decides whether to follow. What the author put into headers was
// meant for the first host: none of it goes to another one, nor does the body,
// nor the URL as a Referer; and it does not come back by way of a third.
func (h *HTTP) redirect(s *spec, next *http.Request, via []*http.Request) error {
	if len(via) > h.o.MaxRedirects {
		return errRedirects
	}
	if err := h.guard.checkURL(next.URL); err != nil {
		return err
	}
	if len(s.hosts) > 0 && !HostAllowed(s.hosts, next.URL) {
		return errHosts
	}
	next.Header.Del("Referer")
	foreign := false
	for _, v := range append(via[1:len(via):len(via)], next) {
		if v.URL.Scheme == "http" && via[0].URL.Scheme == "https" {
			return errDowngrade
		}
		if !strings.EqualFold(v.URL.Host, via[0].URL.Host) {
			foreign = true
		}
	}
	if !foreign {
		if s.host != "" {
			next.Host = s.host
		}
		return nil
	}
	if next.Body != nil && next.Body != http.NoBody {
		return errCarry
	}
	for name := range next.Header {
		switch strings.ToLower(name) {
		case "accept", "accept-language", "user-agent":
		default:
			delete(next.Header, name)
		}
	}
	return nil
}

// lost names what kept an answer from coming. The error's own text would
// repeat the URL.
func lost(err error) response {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	code, detail := classify(err)
	return response{code: code, detail: detail}
}

// read takes the answer, at most as much as the limit.
func (h *HTTP) read(resp *http.Response) response {
	r := response{status: resp.StatusCode, header: resp.Header}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
		r.after = time.Duration(min(n, 3600)) * time.Second
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, h.o.MaxBody+1))
	switch {
	case err != nil:
		l := lost(err)
		r.code, r.detail = l.code, l.detail
	case int64(len(body)) > h.o.MaxBody:
		r.code, r.detail = "too_large", fmt.Sprintf("the answer has more than %d bytes", h.o.MaxBody)
	default:
		r.body = body
		if r.status < 200 || r.status > 299 {
			r.code = "http_" + strconv.Itoa(r.status)
		}
	}
	return r
}

// again reports whether another attempt may help.
func (r response) again() bool {
	switch r.code {
	case "timeout", "connection_refused", "connection_failed", "dns_error",
		"http_429", "http_500", "http_502", "http_503", "http_504":
		return true
	}
	return false
}

// label is the outcome in metrics.
func (r response) label() string {
	if r.status == 0 || r.code == "too_large" {
		return "error"
	}
	return strconv.Itoa(r.status/100) + "xx"
}

// value is the result that the script sees.
func (r response) value() runtime.Value {
	d := runtime.NewDict("ok", r.code == "", "status", int64(r.status), "text", strings.ToValidUTF8(string(r.body), "\uFFFD"),
		"json", jsonOf(r.body, r.header), "headers", headersOf(r.header), "error", nil)
	if r.code != "" {
		d.Set("error", r.code)
	}
	if r.detail != "" {
		d.Set("detail", r.detail)
	}
	return d
}

// jsonOf is the body if it is JSON: by its type, or by its looks.
func jsonOf(body []byte, header http.Header) runtime.Value {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 {
		return nil
	}
	if !strings.Contains(header.Get("Content-Type"), "json") && trimmed[0] != '{' && trimmed[0] != '[' {
		return nil
	}
	w, err := runtime.ParseView(trimmed)
	if err != nil {
		return nil
	}
	if !w.IsDict() && !w.IsList() {
		return w.Scalar()
	}
	return runtime.JSON(trimmed)
}

// headersOf lists header fields by lower-case name.
func headersOf(h http.Header) *runtime.Dict {
	names := make([]string, 0, len(h))
	for n := range h {
		names = append(names, n)
	}
	sort.Strings(names)
	d := &runtime.Dict{}
	for _, n := range names {
		d.Set(strings.ToLower(n), strings.ToValidUTF8(strings.Join(h[n], ", "), "\uFFFD"))
	}
	return d
}
