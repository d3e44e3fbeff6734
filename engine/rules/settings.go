package rules

import "github.com/starling-rules/starling/runtime"

// schemaName is the built-in that declares the settings of a script. It
// registers the names of secrets that the settings give.
const schemaName = "config_schema"

// schema refuses settings that name secrets which are not configured.
func (c *compiler) schema() {
	v, _ := c.args.Get("secrets")
	settings, _ := v.(*runtime.Dict)
	for i := 0; i < settings.Len(); i++ {
		names, _ := settings.Fields[i].Value.(runtime.List)
		for _, e := range names {
			// What stands there may be the secret itself, which is for nobody's eyes.
			if name, _ := e.(string); c.hasSecret != nil && !c.hasSecret(name) {
				c.fail("", "put the value under secrets: in the configuration, and its name here",
					"%s: %s names a secret that is not configured", schemaName, settings.Fields[i].Key)
			}
		}
	}
}
