package ui

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// Slack's limits, in characters or elements.
const (
	MaxMessageBlocks = 50
	MaxViewBlocks    = 100

	maxID       = 255
	maxText     = 3000
	maxField    = 2000
	maxFields   = 10
	maxHeader   = 150
	maxContext  = 10
	maxActions  = 25
	maxLabel    = 2000
	maxButton   = 75
	maxValue    = 2000
	maxURL      = 3000
	maxHint     = 150
	maxOption   = 75
	maxOptVal   = 150
	maxOptions  = 100
	maxOverflow = 5
	maxChecks   = 10
	maxTitle    = 24
	maxMeta     = 3000
	maxMarkdown = 12_000
	maxView     = 1 << 20 // bytes of arguments: Slack takes views of 250 KB
)

// rule checks one part of a view; path names it: blocks[2].text.
type rule func(path string, v runtime.Value) error

// field is one field of a block, element or object.
type field struct {
	name string
	need bool
	rule rule
}

// problem is a fault with the path of the bad part.
func problem(path, format string, args ...any) error {
	if path != "" {
		path += ": "
	}
	return fmt.Errorf("%s%s", path, fmt.Sprintf(format, args...))
}

// text is a plain string of so many characters.
func text(minRunes, maxRunes int) rule {
	return func(path string, v runtime.Value) error {
		s, ok := v.(string)
		if unknown(v) {
			return nil
		}
		if !ok {
			return problem(path, "is a %s, want a string", runtime.TypeName(v))
		}
		return length(path, s, minRunes, maxRunes)
	}
}

func length(path, s string, minRunes, maxRunes int) error {
	switch n := utf8.RuneCountInString(s); {
	case n < minRunes:
		return problem(path, "is empty")
	case n > maxRunes:
		return problem(path, "has %d characters, Slack takes at most %d", n, maxRunes)
	}
	return nil
}

// textObject is {"type": "plain_text" or "mrkdwn", "text": …}.
func textObject(maxRunes int, plainOnly bool) rule {
	return func(path string, v runtime.Value) error {
		d, ok := declare.Plain(v).(*runtime.Dict)
		if !ok {
			return problem(path, "is a %s, want a text object such as ui.plain(…)", runtime.TypeName(v))
		}
		switch kind := d.Text("type"); {
		case unknownType(d):
			return nil
		case kind == "mrkdwn" && plainOnly:
			return problem(path, "is mrkdwn, Slack takes only plain_text here")
		case kind != "mrkdwn" && kind != "plain_text":
			return problem(path+".type", "is %q, want plain_text or mrkdwn", kind)
		}
		s, _ := d.Get("text")
		return text(1, maxRunes)(path+".text", s)
	}
}

// list is a list whose elements obey each.
func list(minLen, maxLen int, each rule) rule {
	return func(path string, v runtime.Value) error {
		l, ok := declare.Plain(v).(runtime.List)
		switch {
		case !ok:
			return problem(path, "is a %s, want a list", runtime.TypeName(v))
		case len(l) < minLen:
			return problem(path, "is empty")
		case len(l) > maxLen:
			return problem(path, "has %d elements, Slack takes at most %d", len(l), maxLen)
		}
		for i, e := range l {
			if unknown(e) {
				continue
			}
			if err := each(path+"["+strconv.Itoa(i)+"]", e); err != nil {
				return err
			}
		}
		return nil
	}
}

// number is an int in a range.
func number(lo, hi int64) rule {
	return func(path string, v runtime.Value) error {
		n, ok := v.(int64)
		if !ok || n < lo || n > hi {
			return problem(path, "is %v, want a whole number from %d to %d", v, lo, hi)
		}
		return nil
	}
}

func oneOf(values ...string) rule {
	return func(path string, v runtime.Value) error {
		for _, want := range values {
			if v == want {
				return nil
			}
		}
		return problem(path, "is %q, want one of %v", v, values)
	}
}

func boolean(path string, v runtime.Value) error {
	if _, ok := v.(bool); !ok {
		return problem(path, "is a %s, want a bool", runtime.TypeName(v))
	}
	return nil
}

// object is a dict with these fields; others pass, because Slack adds some
// faster than a program like this one is updated.
func object(fields ...field) rule {
	return func(path string, v runtime.Value) error {
		d, ok := declare.Plain(v).(*runtime.Dict)
		if !ok {
			return problem(path, "is a %s, want a dict", runtime.TypeName(v))
		}
		return checkFields(path, d, fields)
	}
}

// unknown reports whether a part is one that only running the script could
// tell: who checks what is written in a script passes such, and they obey.
func unknown(v runtime.Value) bool {
	_, ok := v.(runtime.Unknown)
	return ok
}

// unknownType reports whether what a part is cannot be told.
func unknownType(d *runtime.Dict) bool {
	v, _ := d.Get("type")
	return unknown(v)
}

func checkFields(path string, d *runtime.Dict, fields []field) error {
	for _, f := range fields {
		v, ok := d.Get(f.name)
		if unknown(v) {
			continue
		}
		if !ok || v == nil {
			if f.need {
				return problem(join(path, f.name), "is missing")
			}
			continue
		}
		if err := f.rule(join(path, f.name), v); err != nil {
			return err
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
