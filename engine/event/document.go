package event

import "unicode/utf8"

// document is a JSON payload, checked, with the places of the values that
// parsing may look at: those of known keys, some levels down. They are noted
// while the strict scanner walks over the text, so that it is read once.
type document struct {
	b     []byte
	nodes []node
	texts []byte // strings that were written with escapes
}

// node is one value of a document.
type node struct {
	doc     *document
	start   int32 // its text is b[start:end]
	end     int32
	at      int32 // its own index
	next    int32 // index of the node behind those below this one
	key     int16 // its key, or -1 in a list
	twice   int16 // a known key that is there twice in this object, or -1
	escaped bool  // a string with escapes
}

const (
	// keepDepth is how far down values are noted: event.message.user.id.
	keepDepth = 4
	// keepElements is how many elements of a list are noted: one more than
	// anybody looks at.
	keepElements = maxActions + 1
)

// read checks b and notes what it holds. The document refers to b.
func (d *document) read(b []byte) (*node, error) {
	d.b, d.nodes, d.texts = b, d.nodes[:0], d.texts[:0]
	s := scanner{b: b, doc: d}
	if err := s.document(); err != nil {
		return nil, err
	}
	return &d.nodes[0], nil
}

// drop lets go of the payload, and of memory that a large one needed.
func (d *document) drop() {
	d.b = nil
	if cap(d.nodes) > 1<<10 {
		d.nodes = nil
	}
	if cap(d.texts) > 64<<10 {
		d.texts = nil
	}
}

// begin notes that a value starts at byte i, and returns its index.
func (d *document) begin(key, i int) int {
	d.nodes = append(d.nodes, node{doc: d, at: int32(len(d.nodes)), start: int32(i), key: int16(key), twice: -1})
	return len(d.nodes) - 1
}

// close notes that it ends before byte i.
func (d *document) close(n, i int, escaped bool) {
	v := &d.nodes[n]
	v.end, v.next, v.escaped = int32(i), int32(len(d.nodes)), escaped
}

func (v *node) first() byte { return v.doc.b[v.start] }

func (v *node) isString() bool { return v != nil && v.first() == '"' }
func (v *node) isObject() bool { return v != nil && v.first() == '{' }
func (v *node) isNull() bool   { return v != nil && v.first() == 'n' }
func (v *node) isTrue() bool   { return v != nil && v.first() == 't' }

// raw is the text of the value as it was sent.
func (v *node) raw() []byte { return v.doc.b[v.start:v.end] }

// kind names the type for an error message.
func (v *node) kind() string {
	switch v.first() {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't':
		return "true"
	case 'f':
		return "false"
	case 'n':
		return "null"
	}
	return "number"
}

// below calls f for each noted value of an object or list.
func (v *node) below(f func(*node)) {
	nodes := v.doc.nodes
	for i := v.at + 1; i < v.next; i = nodes[i].next {
		f(&nodes[i])
	}
}

// get returns the value of a known key, or nil.
func (v *node) get(key int) *node {
	if !v.isObject() {
		return nil
	}
	var found *node
	v.below(func(c *node) {
		if int(c.key) == key {
			found = c
		}
	})
	return found
}

// list returns the noted elements of a list: at most keepElements.
func (v *node) list() (elements []*node) {
	if v == nil || v.first() != '[' {
		return nil
	}
	v.below(func(c *node) { elements = append(elements, c) })
	return elements
}

// element returns the first element of a list, or nil.
func (v *node) element() *node {
	if v == nil || v.first() != '[' {
		return nil
	}
	if i := v.at + 1; i < v.next {
		return &v.doc.nodes[i]
	}
	return nil
}

// text returns the value if it is a string, else nil.
func (v *node) text() []byte {
	if !v.isString() {
		return nil
	}
	raw := v.doc.b[v.start+1 : v.end-1]
	if !v.escaped {
		return raw
	}
	return v.doc.unescape(raw)
}

// unescape decodes the inside of a string that has passed the scanner.
func (d *document) unescape(s []byte) []byte {
	start := len(d.texts)
	b := d.texts
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b = append(b, s[i])
			i++
			continue
		}
		switch c := s[i+1]; c {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r := hex4(s[i+2:])
			if r >= 0xD800 && r < 0xDC00 {
				r = 0x10000 + (r-0xD800)<<10 + (hex4(s[i+8:]) - 0xDC00)
				i += 6
			}
			b = utf8.AppendRune(b, r)
			i += 4
		default: // quote, backslash, slash
			b = append(b, c)
		}
		i += 2
	}
	d.texts = b
	return b[start:len(b):len(b)]
}

// hex4 is the value of four hexadecimal digits.
func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		r = r<<4 | rune(unhex(c))
	}
	return r
}
