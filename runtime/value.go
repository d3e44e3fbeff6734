package runtime

// Value is plain data that crosses between scripts, the door and the journal.
// Its dynamic type is one of
//
//	nil  bool  int64  float64  string  []byte
//	[]Value           a list
//	*Dict             a dict with string keys, in insertion order
//	JSON              JSON text, decoded by whoever looks at it
//	*View             JSON already parsed, read field by field
//	Object            a host value with fields computed on demand (inputs only)
//	Secret            text with references to secrets in it
//	Func              a function of the script, by number
//	Regexp            a compiled-on-demand RE2 pattern
//	Pending           the result of an effect that has not been performed
//
// Values are immutable once handed over. [Encode] and [Decode] are their wire
// form; Object and Pending have none.
type Value = any

// List is a list of values.
type List = []Value

// Field is one entry of a Dict.
type Field struct {
	Key   string
	Value Value
}

// Dict is an ordered map with string keys. The zero value is empty and ready.
// It is not safe for concurrent writing.
type Dict struct {
	Fields []Field
}

// NewDict returns a dict of alternating keys and values.
// It panics if a key is not a string or a value is missing: a programmer error.
func NewDict(pairs ...any) *Dict {
	if len(pairs)%2 != 0 {
		panic("runtime.NewDict: odd number of arguments")
	}
	d := &Dict{Fields: make([]Field, 0, len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		d.Set(pairs[i].(string), pairs[i+1])
	}
	return d
}

// Get returns the value of key, and whether it is there. A nil Dict is empty.
func (d *Dict) Get(key string) (Value, bool) {
	if d == nil {
		return nil, false
	}
	for i := range d.Fields {
		if d.Fields[i].Key == key {
			return d.Fields[i].Value, true
		}
	}
	return nil, false
}

// Text returns the value of key if it is a string, else "".
func (d *Dict) Text(key string) string {
	v, _ := d.Get(key)
	s, _ := v.(string)
	return s
}

// Set replaces the value of key, or appends it.
func (d *Dict) Set(key string, v Value) {
	for i := range d.Fields {
		if d.Fields[i].Key == key {
			d.Fields[i].Value = v
			return
		}
	}
	d.Fields = append(d.Fields, Field{key, v})
}

// Delete removes key if it is there.
func (d *Dict) Delete(key string) {
	for i := range d.Fields {
		if d.Fields[i].Key == key {
			d.Fields = append(d.Fields[:i], d.Fields[i+1:]...)
			return
		}
	}
}

// Len returns the number of entries. A nil Dict is empty.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.Fields)
}

// Clone returns a copy that shares the values.
func (d *Dict) Clone() *Dict {
	if d == nil {
		return &Dict{}
	}
	return &Dict{Fields: append([]Field(nil), d.Fields...)}
}

// JSON is JSON text. Whoever looks inside parses it; nobody else pays.
type JSON []byte

// Object is a frozen host value whose fields are computed when looked at,
// such as the event. Scripts see it as a value with both x.name and x["name"].
// An Object is used by one goroutine at a time.
type Object interface {
	// TypeName is what type(x) says.
	TypeName() string
	// Field returns a field; known is false if no such field exists at all.
	// A known field that is absent in this object is nil, true.
	Field(name string) (v Value, known bool)
	// FieldNames lists all known names, sorted.
	FieldNames() []string
}

// Secret is text that contains secrets by name. Only the server can expand it.
// It prints as *** everywhere.
type Secret struct {
	Parts []SecretPart
}

// SecretPart is literal text, or the name of a secret.
type SecretPart struct {
	Text string
	Name string // if not empty, the part stands for this secret's value
}

// String hides the secret.
func (Secret) String() string { return "***" }

// Func is a function of a script: its number in the module's function table,
// stable for one Digest.
type Func struct {
	Index int
	Name  string
	Pos   Position
	Arity int // number of positional parameters it accepts; -1 if any
	// Required is how many of them must be given, as far as the language tells.
	Required int
}

// Regexp is an RE2 pattern made by re.compile.
type Regexp struct {
	Pattern string
}

// Pending is the result of the effect of that step, not yet performed.
type Pending struct {
	Step int
}
