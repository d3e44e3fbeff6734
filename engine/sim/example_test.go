package sim_test

import (
	"context"
	"fmt"

	"github.com/starling-rules/starling/engine/sim"
)

// A test of a bot needs no network: act as a person, then look at what is in
// the channel.
func ExampleNew() {
	s, err := sim.New(sim.Options{}) // EventsURL would connect an app
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if _, err := s.Say(context.Background(), sim.Say{User: "U0ADA", Channel: "#ops", Text: "hello @grace"}); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range s.Snapshot().Messages["C0OPS"] {
		fmt.Println(m.User, m.Text)
	}
	// Output: U0ADA hello <@U0GRACE>
}
