package event

import "github.com/valyala/fastjson"

// plainValue returns what an author means by the value of an element: the
// text, the chosen option's value, the chosen person, date, …; or nil.
// For several choices it is the list as Slack sends it: see plainList.
func plainValue(el *fastjson.Value) *fastjson.Value {
	if el == nil || el.Type() != fastjson.TypeObject {
		return nil
	}
	for _, k := range [...]string{
		"value", "selected_option", "selected_user", "selected_channel", "selected_conversation",
		"selected_date", "selected_time", "selected_date_time", "selected_options", "selected_users",
		"selected_channels", "selected_conversations", "files", "rich_text_value",
	} {
		v := el.Get(k)
		if v == nil || v.Type() == fastjson.TypeNull {
			continue
		}
		switch k {
		case "selected_option":
			return v.Get("value")
		case "selected_options":
			// The menus of legacy attachments hold one choice, in a list.
			if list := v.GetArray(); len(list) == 1 && string(el.GetStringBytes("type")) == "select" {
				return list[0].Get("value")
			}
		}
		return v
	}
	return nil
}
