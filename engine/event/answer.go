package event

// Answer is what the sender of an event is told, when a rule says so.
type Answer struct {
	// Status is the HTTP status; 0 means 200.
	Status int
	// ContentType of Body; "" with an empty Body.
	ContentType string
	Body        []byte
	// Headers and cookies are for webhooks only.
	Headers []Header
}
