package check

// SlackMethods lists the methods of Slack's Web API that are known, sorted.
// The caller must not change it.
func SlackMethods() []string { return methodNames() }
