package re

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// compiler checks and compiles patterns, and keeps the recent ones: of two
// generations of cacheSize the older is dropped when the newer is full.
// Safe for concurrent use; its zero value is ready.
type compiler struct {
	mu         sync.Mutex
	young, old map[string]program
}

// program is a compiled pattern and the number of its instructions.
type program struct {
	re   *regexp.Regexp
	size int
}

// compileSteps is the fuel for compiling: 20 µs for a pattern of 200 bytes.
const compileSteps = 1000

func (c *compiler) get(x *runtime.Context, name, pattern string) (program, error) {
	c.mu.Lock()
	p, ok := c.young[pattern]
	if !ok {
		if p, ok = c.old[pattern]; ok {
			c.keep(pattern, p)
		}
	}
	c.mu.Unlock()
	// The fuel must not depend on what other scripts did: cached or not, a
	// pattern costs the same.
	if err := declare.Charge(x, compileSteps*len(pattern)/MaxPattern); err != nil {
		return program{}, err
	}
	if ok {
		return p, nil
	}
	p, err := build(pattern)
	if err != nil {
		return p, declare.Hint("", "%s: %v", name, err)
	}
	c.mu.Lock()
	c.keep(pattern, p)
	c.mu.Unlock()
	return p, nil
}

// keep is called with the lock held.
func (c *compiler) keep(pattern string, p program) {
	if c.young == nil || len(c.young) >= cacheSize {
		c.old, c.young = c.young, make(map[string]program, cacheSize)
	}
	c.young[pattern] = p
}

// build compiles a pattern that keeps the bounds.
func build(pattern string) (program, error) {
	if len(pattern) > MaxPattern {
		return program{}, fmt.Errorf("the pattern has %d bytes, the limit is %d", len(pattern), MaxPattern)
	}
	size, err := runtime.CheckPattern(pattern)
	if se := (*syntax.Error)(nil); errors.As(err, &se) {
		return program{}, fmt.Errorf("bad pattern: %s: `%s`", se.Code, se.Expr)
	}
	if err != nil {
		return program{}, err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return program{}, fmt.Errorf("bad pattern: %w", err)
	}
	return program{re, size}, nil
}
