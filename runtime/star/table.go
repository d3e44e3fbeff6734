package star

import (
	"go.starlark.net/starlark"
)

// The interpreter's hash of an int is its low 32 bits, that of a short text a
// public function without a seed, that of a function its name: keys that all
// fall into one bucket are easily made, by a script or by whoever writes what
// it reads. A table counts the keys of one dict or set by the low bits of
// their hashes, so that whatever has to walk along a long bucket pays for it.

// tableMin is the size below which collisions do no harm.
const tableMin = 512

// maxTables bounds how many dicts and sets are watched at once.
const maxTables = 64

type table struct {
	slots [4096]uint32
	n     int
	cost  int // of hashing all keys
}

// hashed is a dict or a set.
type hashed interface {
	starlark.Value
	Len() int
	Iterate() starlark.Iterator
}

func (t *table) slot(h uint32) *uint32 { return &t.slots[h%uint32(len(t.slots))] }

// excess is the cost of a walk along a bucket with c keys of n.
func excess(c, n int) int { return max(0, c-n/1024-16) }

// watch returns the table of c, which has at least tableMin keys.
func (p *pass) watch(c hashed) (*table, error) {
	t := p.tables[c]
	if t != nil && t.n == c.Len() {
		return t, nil
	}
	if p.tables == nil || len(p.tables) >= maxTables {
		p.tables = map[starlark.Value]*table{}
	}
	t = &table{}
	m := meter{t: &p.thread}
	defer m.done()
	iter := c.Iterate()
	defer iter.Done()
	var k starlark.Value
	for iter.Next(&k) {
		cost := hashCost(k)
		if err := m.add(1 + cost); err != nil {
			return nil, err
		}
		h, err := k.Hash()
		if err != nil {
			return nil, err
		}
		*t.slot(h)++
		t.n++
		t.cost += cost
	}
	p.tables[c] = t
	return t, nil
}

// insert puts a key into a dict or set by means of put, after paying for it.
func (p *pass) insert(c hashed, k starlark.Value, put func() error) error {
	if cost := hashCost(k); cost > 0 {
		if err := spend(&p.thread, cost); err != nil {
			return err
		}
	}
	n := c.Len()
	if n < tableMin {
		return put()
	}
	h, err := k.Hash()
	if err != nil {
		return put() // which says why
	}
	t, err := p.watch(c)
	if err != nil {
		return err
	}
	if err := spend(&p.thread, excess(int(*t.slot(h)), n)); err != nil {
		return err
	}
	if n >= maxElems {
		return tooLarge(&p.thread, c.Type()+" larger than 1,000,000 elements", "")
	}
	if err := put(); err != nil {
		return err
	}
	if c.Len() > n {
		*t.slot(h)++
		t.n++
	}
	return nil
}

// setKey is d[k] = v.
func (p *pass) setKey(d *starlark.Dict, k, v starlark.Value) error {
	if s, ok := k.(starlark.String); ok && len(s) < 256 && d.Len() < tableMin {
		return d.SetKey(k, v) // the common case without a closure
	}
	return p.insert(d, k, func() error { return d.SetKey(k, v) })
}

// addTo adds an element to a set.
func (p *pass) addTo(s *starlark.Set, k starlark.Value) error {
	return p.insert(s, k, func() error { return s.Insert(k) })
}

// forget keeps a table right when a key is removed by remove.
func (p *pass) forget(c hashed, k starlark.Value, remove func() (starlark.Value, error)) (starlark.Value, error) {
	n := c.Len()
	v, err := remove()
	if t := p.tables[c]; t != nil && err == nil && c.Len() == n-1 && t.n == n {
		if h, err := k.Hash(); err == nil && *t.slot(h) > 0 {
			*t.slot(h)--
			t.n--
		}
	}
	return v, err
}

// merge pays for an operation that visits all keys of two dicts or sets.
func (p *pass) merge(x, y hashed) error {
	if err := spend(&p.thread, 3*(x.Len()+y.Len())); err != nil {
		return err
	}
	if x.Len() < tableMin && y.Len() < tableMin {
		return nil
	}
	a, err := p.watch(x)
	if err != nil {
		return err
	}
	b, err := p.watch(y)
	if err != nil {
		return err
	}
	cost, n := a.cost+b.cost, a.n+b.n
	for i := range a.slots {
		c := int(a.slots[i] + b.slots[i])
		cost += c * excess(c, n)
	}
	return spend(&p.thread, cost)
}

// openDict is a dict as the target of an assignment, d[k] = v, once it is so
// large that its keys have to be watched.
type openDict struct {
	*starlark.Dict
	p *pass
}

var _ starlark.HasSetKey = openDict{}

// SetKey is d[k] = v.
func (d openDict) SetKey(k, v starlark.Value) error { return d.p.setKey(d.Dict, k, v) }
