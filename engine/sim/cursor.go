package sim

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// paged cuts one page out of a list, as cursors and limits of the Web API
// ask, and returns it with the cursor of the next ("" at the end).
func paged[T any](c *call, all []T, def int) (page []T, next string, err error) {
	limit, err := c.num("limit", def, 1, 1000)
	if err != nil {
		return nil, "", err
	}
	from := 0
	if s := c.str("cursor"); s != "" {
		raw, err := base64.StdEncoding.DecodeString(s)
		n, ok := strings.CutPrefix(string(raw), "offset:")
		if err != nil || !ok {
			return nil, "", Code("invalid_cursor")
		}
		if from, err = strconv.Atoi(n); err != nil || from < 0 || from > len(all) {
			return nil, "", Code("invalid_cursor")
		}
	}
	to := min(from+limit, len(all))
	if to < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("offset:" + strconv.Itoa(to)))
	}
	return all[from:to], next, nil
}

func cursor(next string) Block { return Block{"next_cursor": next} }
