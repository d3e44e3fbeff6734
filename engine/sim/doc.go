// Package sim is a Slack that lives in one process: the workspace of
// `starling dev`, and the far side of tests that want a whole Slack.
//
//	Server   HTTP in front of it: Web API, response URLs, page, deliveries
//	World    the state: users, channels, messages, views, triggers
//	Seed     what a new World holds
//	acts     Say, Command, Click, Submit, React, …: what a person does
//	Clock    the workspace's time, which can be moved ahead and run faster
//	Faults   what goes wrong on purpose
//	Subscription  events, and what switches them off
//	Call, Delivery  the record of what the app asked and was told
//	Inspector, EventTrace, RunTrace: what an engine tells the page
//
// A person acts (page or Go) and an app answers:
//
//	page ─► /sim/… ─► act ─► World ─► change log ─► /sim/stream ─► page
//	                   │        ▲
//	                   ▼        │
//	        signed delivery   /api/<method>, /response/<id>
//	                   └──► app ──┘
//
// Everything is for one machine: it serves and delivers on loopback addresses
// only, and its tokens are fixed and public. The package knows no rules, no
// store and no engine: whatever speaks Slack's protocol can be the app.
package sim
