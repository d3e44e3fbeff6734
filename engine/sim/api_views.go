package sim

func viewsOpen(c *call) (Block, error) { return c.openModal(false) }

func viewsPush(c *call) (Block, error) { return c.openModal(true) }

func (c *call) openModal(push bool) (Block, error) {
	body, err := c.view()
	if err != nil {
		return nil, err
	}
	id := c.str("trigger_id")
	if id == "" {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] missing required field: trigger_id"}}
	}
	// A view that is refused does not spend the trigger.
	t := c.w.triggers[id]
	user := ""
	if t != nil {
		user = t.user
	}
	v, err := c.w.newView(body, user)
	if err != nil {
		return nil, err
	}
	if v.Type != "modal" {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] only modals can be opened [json-pointer:/view/type]"}}
	}
	if v.ExternalID != "" && c.w.view("", v.ExternalID) != nil {
		return nil, Code("duplicate_external_id")
	}
	if _, err := c.w.useTrigger(id); err != nil {
		return nil, err
	}
	if err := c.w.openView(v, push); err != nil {
		return nil, err
	}
	return Block{"view": v.wire(c.w)}, nil
}

// view reads the argument `view`.
func (c *call) view() (Block, error) {
	body, err := c.object("view")
	if err != nil {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] " + err.Error()}}
	}
	if body == nil {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] missing required field: view"}}
	}
	return body, nil
}

func viewsUpdate(c *call) (Block, error) {
	body, err := c.view()
	if err != nil {
		return nil, err
	}
	old := c.w.view(c.str("view_id"), c.str("external_id"))
	if old == nil {
		return nil, Code("not_found")
	}
	if h := c.str("hash"); h != "" && h != old.Hash {
		return nil, Code("hash_conflict")
	}
	v, err := c.w.newView(body, old.User)
	if err != nil {
		return nil, err
	}
	if v.Type != old.Type {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] the type of a view cannot change [json-pointer:/view/type]"}}
	}
	return Block{"view": c.w.replaceView(old, v).wire(c.w)}, nil
}

func viewsPublish(c *call) (Block, error) {
	body, err := c.view()
	if err != nil {
		return nil, err
	}
	u := c.w.user(c.str("user_id"))
	if u == nil {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] invalid `user_id`"}}
	}
	old := c.w.homes[u.ID]
	if h := c.str("hash"); h != "" && old != nil && h != old.Hash {
		return nil, Code("hash_conflict")
	}
	v, err := c.w.newView(body, u.ID)
	if err != nil {
		return nil, err
	}
	if v.Type != "home" {
		return nil, &Invalid{"invalid_arguments", []string{"[ERROR] only home views can be published [json-pointer:/view/type]"}}
	}
	if old != nil {
		v = c.w.replaceView(old, v)
	} else {
		c.w.homes[u.ID] = v
		c.w.log.add("home", v)
	}
	return Block{"view": v.wire(c.w)}, nil
}
