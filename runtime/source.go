package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
)

// Digest names one version of a script: the hash of its path, its text, the
// text of all it loads, and the version of the compiler. The zero Digest names nothing.
type Digest [16]byte

// String returns the digest as 32 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest is the inverse of Digest.String.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("parse digest: %q is not %d hexadecimal digits", s, 2*len(d))
	}
	copy(d[:], b)
	return d, nil
}

// Source is one file of a rules directory.
type Source struct {
	// Path is relative to the rules directory, with slashes; library scripts
	// have paths that begin with "@starling//".
	Path string
	Text []byte
}

// Bundle is one script and every file it loads. Bundles are immutable.
type Bundle struct {
	// Language is the name of the language of Main: "starlark" or "lua".
	Language string
	// Main is the path of the script itself.
	Main string
	// Files holds the sources by path, Main among them.
	Files map[string][]byte
	// Config is what `config` is in the script; nil means an empty dict.
	Config Value
	// Digest names all of the above.
	Digest Digest
}

// CompilerVersion is part of every Digest: raise it when the same source would
// be compiled to something that behaves differently, so that runs are never
// replayed on another meaning of their script.
const CompilerVersion = "starling-3"

// NewBundle makes a bundle and computes its digest. It keeps files.
func NewBundle(language, main string, files map[string][]byte, config Value) *Bundle {
	h := sha256.New()
	put := func(b []byte) {
		h.Write(strconv.AppendInt(nil, int64(len(b)), 10))
		h.Write([]byte{':'})
		h.Write(b)
	}
	put([]byte(CompilerVersion))
	put([]byte(language))
	put([]byte(main))
	if config != nil {
		put(Encode(nil, config))
	}
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		put([]byte(p))
		put(files[p])
	}
	b := &Bundle{Language: language, Main: main, Files: files, Config: config}
	copy(b.Digest[:], h.Sum(nil))
	return b
}

// Position is a place in a source file. Line and Col count from 1, Col in
// bytes; zero means unknown.
type Position struct {
	Path string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"column"`
}

// String returns "path:line:col", leaving out what is unknown.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.Path
	case p.Col == 0:
		return p.Path + ":" + strconv.Itoa(p.Line)
	}
	return p.Path + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

// IsZero reports whether the position is unknown.
func (p Position) IsZero() bool { return p == Position{} }

var _ json.Marshaler = Digest{}

// MarshalJSON writes the digest as its hexadecimal text.
func (d Digest) MarshalJSON() ([]byte, error) { return []byte(`"` + d.String() + `"`), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Digest) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := ParseDigest(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}
