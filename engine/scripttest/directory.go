package scripttest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/starling-rules/starling/engine/rules"
)

// directory gives names of users and channels their ids: the same in every
// test, so that tests can say "#ops" where Slack says C0OPS. Safe for
// concurrent use.
type directory struct {
	mu    sync.RWMutex
	names map[string]string // id → name
}

var _ rules.Names = (*directory)(nil)

func newDirectory() *directory { return &directory{names: map[string]string{}} }

// people and rooms are there without being named.
var (
	people = []string{"ada", "grace", "linus"}
	rooms  = []string{"general", "random", "ops", "deploys"}
)

// user returns the id of a user given by id, mention, @name or name.
func (d *directory) user(who string) string {
	who = bare(who, "@")
	who, _, _ = strings.Cut(who, "@") // an address
	if isID(who, "UWB") {
		return who
	}
	return d.id("U0", who)
}

// channel returns the id of a channel given by id, link, #name or name; of
// "@name" the direct conversation with that user.
func (d *directory) channel(name string) string {
	if strings.HasPrefix(name, "@") || strings.HasPrefix(name, "<@") {
		return "D" + d.user(name)[1:]
	}
	name = bare(name, "#")
	if isID(name, "CGD") {
		return name
	}
	return d.id("C0", name)
}

// id makes an id of a name. Names that differ in more than letters and digits
// get a part of their hash.
func (d *directory) id(prefix, name string) string {
	var b strings.Builder
	odd := false
	for _, c := range strings.ToUpper(name) {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else {
			odd = true
		}
	}
	if odd || b.Len() == 0 {
		sum := sha256.Sum256([]byte(name))
		b.WriteString(strings.ToUpper(hex.EncodeToString(sum[:2])))
	}
	id := prefix + b.String()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[id] = strings.ToLower(name)
	return id
}

// name returns the name behind an id that was made of one; else the id itself
// in lower case.
func (d *directory) name(id string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if n := d.names[id]; n != "" {
		return n
	}
	return strings.ToLower(id)
}

// ChannelName implements rules.Names.
func (d *directory) ChannelName(_, id string) string { return d.name(id) }

// UserName implements rules.Names.
func (d *directory) UserName(_, id string) (name, email string) {
	n := d.name(id)
	return n, n + "@example.com"
}

// TeamID implements rules.Names: a team is known by whatever name it has.
func (d *directory) TeamID(name string) (string, bool) {
	if isID(name, "TE") {
		return name, true
	}
	return d.id("T0", name), true
}

// bare takes the id out of <@U1|name> and <#C1|name>, and the sign off @name.
func bare(s, sign string) string {
	if inner, ok := strings.CutPrefix(s, "<"+sign); ok {
		inner, _, _ = strings.Cut(strings.TrimSuffix(inner, ">"), "|")
		return inner
	}
	return strings.TrimPrefix(s, sign)
}

// isID reports whether s is an id that begins with one of the letters.
func isID(s, letters string) bool {
	if len(s) < 2 || !strings.ContainsRune(letters, rune(s[0])) {
		return false
	}
	for _, c := range s[1:] {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
