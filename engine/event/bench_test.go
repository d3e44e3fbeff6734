package event_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
)

// typical is a message of 1.2 KB with a rich_text block, as Slack sends it.
var typical = []byte(`{"token":"x","team_id":"T0123456","context_team_id":"T0123456","api_app_id":"A0123456","event":{"type":"message","client_msg_id":"00000000-0000-4000-8000-000000000000","user":"U0123456","text":"<@U0BOT001> deploy *api* to prod, see <https://example.com/a?b=1&amp;c=2|the notes> :rocket:","ts":"1700000000.000100","team":"T0123456","blocks":[{"type":"rich_text","block_id":"b1","elements":[{"type":"rich_text_section","elements":[{"type":"user","user_id":"U0BOT001"},{"type":"text","text":" deploy "},{"type":"text","text":"api","style":{"bold":true}},{"type":"text","text":"` +
	strings.Repeat(" to prod", 20) + `"},{"type":"emoji","name":"rocket","unicode":"1f680"}]}]}],"channel":"C0123456","event_ts":"1700000000.000100","channel_type":"channel"},"type":"event_callback","event_id":"Ev01234567","event_time":1700000000,"authorizations":[{"enterprise_id":null,"team_id":"T0123456","user_id":"U0BOT001","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false,"event_context":"4-xxxxxxxx"}`)

const slash = "token=x&team_id=T1&team_domain=acme&channel_id=C1&channel_name=general&user_id=U1&user_name=ada&command=%2Fdeploy&text=api+to+prod&api_app_id=A1&is_enterprise_install=false&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1%2F111%2Fxxx&trigger_id=111.222.xxx"

func BenchmarkParse(b *testing.B) {
	b.Run("message", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(typical)))
		for b.Loop() {
			if _, _, err := event.Parse(typical, meta); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("command", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := event.ParseForm([]byte(slash), meta); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkStored(b *testing.B) {
	e, _, err := event.Parse(typical, meta)
	if err != nil {
		b.Fatal(err)
	}
	stored := e.Encode(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			buf = e.Encode(buf[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Decode(stored); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkView reads the fields that a rule typically reads. Those of the
// header cost no parse, and one of the payload costs no conversion of the whole.
func BenchmarkView(b *testing.B) {
	e, _, err := event.Parse(typical, meta)
	if err != nil {
		b.Fatal(err)
	}
	input := event.AppendInput(nil, e.Encode(nil), nil)
	for name, fields := range map[string][]string{
		"none":           nil,
		"text_user":      {"text", "user", "channel", "ts"},
		"mentions_links": {"mentions", "links", "plain_text"},
		"blocks":         {"blocks"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, err := event.Host(input)
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range fields {
					if x, known := v.Field(f); !known || x == nil {
						b.Fatal(f)
					}
				}
			}
		})
	}
}
