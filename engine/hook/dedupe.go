package hook

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/starling-rules/starling/runtime"
)

// Dedupe says what names a delivery of a hook. A delivery that names itself is
// taken in once; others are all different, for a sender may well mean the same
// thing twice.
type Dedupe struct {
	// Off takes every delivery in.
	Off bool
	// Header is the one header that names it; "" is what its sender is known
	// to use.
	Header string
}

// deliveryHeaders name a delivery; a repeated delivery repeats them.
var deliveryHeaders = [...]string{"X-Github-Delivery", "X-Gitlab-Event-Uuid", "Webhook-Id", "Idempotency-Key"}

// ID is the id of the event that a request becomes: the same for a delivery
// that is sent again under its own name, and different for any two others,
// which nonce tells apart.
func (d Dedupe) ID(scheme string, r *Request, method, path, query string, nonce func() string) string {
	h := sha256.New()
	part := func(text string) {
		h.Write([]byte(text))
		h.Write([]byte{0})
	}
	part(method)
	part(path)
	names, exact := d.key(scheme, r)
	if len(names) == 0 {
		names = []string{nonce()}
	}
	for _, n := range names {
		part(n)
	}
	if !exact {
		part(query)
		h.Write(r.Body)
	}
	return "wh-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// key returns the parts that name a delivery, nil if nothing does. exact says
// that they do so alone; else the body belongs to the name as well.
func (d Dedupe) key(scheme string, r *Request) (parts []string, exact bool) {
	switch {
	case d.Off:
		return nil, false
	case d.Header != "":
		if v, once := only(r, d.Header); once && v != "" {
			return []string{v}, true
		}
		return nil, false
	}
	switch scheme {
	case Stripe: // other fields of an event may change until it is sent again
		if id := field(r.Body, "id"); id != "" {
			return []string{id}, true
		}
	case PagerDuty:
		if id := field(r.Body, "event", "id"); id != "" {
			return []string{id}, true
		}
	}
	for _, name := range deliveryHeaders {
		for _, v := range r.Header(name) {
			if v != "" {
				parts = append(parts, name, v)
			}
		}
	}
	return parts, false
}

// field reads a text out of a JSON body.
func field(body []byte, path ...string) string {
	w, err := runtime.ParseView(body)
	if err != nil {
		return ""
	}
	var v runtime.Value = w
	for _, p := range path {
		w, ok := v.(*runtime.View)
		if !ok || w.IsList() {
			return ""
		}
		v, _ = w.Get(p)
	}
	s, _ := v.(string)
	return s
}
