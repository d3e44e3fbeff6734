package redact

import "encoding/json"

// jsonText is what a JSON handler would write for v, or "".
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
