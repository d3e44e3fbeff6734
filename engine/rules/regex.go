package rules

// Regex reports whether the rule's pattern is a regular expression, and not a
// text that must be equal.
func (r *Rule) Regex() bool { return r.re != nil }
