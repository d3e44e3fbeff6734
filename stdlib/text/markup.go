package text

import (
	"regexp"
	"strings"
	gotime "time"
)

func utc(unix int64) string { return gotime.Unix(unix, 0).UTC().Format("2006-01-02 15:04 UTC") }

// mdTarget is what a link may lead to: a target such as !channel would become
// a mention.
const mdTarget = `((?i:https?://|mailto:|tel:|slack://)[^()\s|]+)`

var (
	mdHeading = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$`)
	mdBullet  = regexp.MustCompile(`^([ \t]*)[-*+][ \t]+(.*)$`)
	mdImage   = regexp.MustCompile(`!\[([^\]\n]*)\]\(` + mdTarget + `(?:[ \t]+"[^"\n]*")?\)`)
	mdLink    = regexp.MustCompile(`\[([^\]\n]+)\]\(` + mdTarget + `(?:[ \t]+"[^"\n]*")?\)`)
	mdBold    = regexp.MustCompile(`\*\*([^*\n]+)\*\*|__([^_\n]+)__`)
	mdItalic  = regexp.MustCompile(`\*([^*\s](?:[^*\n]*[^*\s])?)\*`)
	mdStrike  = regexp.MustCompile(`~~([^~\n]+)~~`)
)

// FromMarkdown turns common Markdown into Slack's markup: headings and bold,
// italic, struck text, links, images, bullets. Code is left as it is, and
// &, < and > are escaped everywhere.
func FromMarkdown(s string) string {
	lines := strings.Split(s, "\n")
	fenced := false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "```") {
			fenced = !fenced
			lines[i] = "```"
			continue
		}
		if fenced {
			lines[i] = Escape(line)
			continue
		}
		lines[i] = markdownLine(line)
	}
	return strings.Join(lines, "\n")
}

func markdownLine(line string) string {
	if m := mdHeading.FindStringSubmatch(line); m != nil && m[1] != "" {
		return "*" + strings.ReplaceAll(spans(m[1]), "*", "") + "*"
	}
	if m := mdBullet.FindStringSubmatch(line); m != nil {
		return m[1] + "• " + spans(m[2])
	}
	if rest, ok := strings.CutPrefix(line, ">"); ok {
		return ">" + spans(rest)
	}
	return spans(line)
}

// spans converts what stands within a line, code excepted.
func spans(s string) string {
	parts := strings.Split(s, "`")
	for i := range parts {
		code := i%2 == 1 && i < len(parts)-1
		parts[i] = Escape(parts[i])
		if !code {
			parts[i] = inline(parts[i])
		}
	}
	return strings.Join(parts, "`")
}

// inline works on escaped text. Bold is marked with a control character until
// the single asterisks of italics are gone.
func inline(s string) string {
	s = mdImage.ReplaceAllString(s, "<$2|$1>")
	s = strings.ReplaceAll(s, "|>", ">")
	s = mdLink.ReplaceAllString(s, "<$2|$1>")
	s = mdBold.ReplaceAllString(s, "\x01$1$2\x01")
	s = mdItalic.ReplaceAllString(s, "_${1}_")
	s = mdStrike.ReplaceAllString(s, "~$1~")
	return strings.ReplaceAll(s, "\x01", "*")
}

var (
	slackRef  = regexp.MustCompile(`<([^<>\n]*)>`)
	slackSpan = []*regexp.Regexp{
		regexp.MustCompile(`(^|[\s(\[{"'>])\*([^\s*](?:[^*\n]*[^\s*])?)\*`),
		regexp.MustCompile(`(^|[\s(\[{"'>])_([^\s_](?:[^_\n]*[^\s_])?)_`),
		regexp.MustCompile(`(^|[\s(\[{"'>])~([^\s~](?:[^~\n]*[^\s~])?)~`),
		regexp.MustCompile("(^|[\\s(\\[{\"'>])`([^`\n]+)`"),
	}
)

// Plain turns Slack's markup into the text that people see: links become their
// labels, mentions their names, marks of bold and the like go, entities are
// undone last.
func Plain(s string) string {
	s = slackRef.ReplaceAllStringFunc(s, func(ref string) string { return reference(ref[1 : len(ref)-1]) })
	s = strings.ReplaceAll(s, "```", "")
	for _, re := range slackSpan {
		s = re.ReplaceAllString(s, "$1$2")
	}
	return Unescape(s)
}

// reference is what is seen of <ref>.
func reference(ref string) string {
	target, label, labelled := strings.Cut(ref, "|")
	if target == "" {
		return label
	}
	switch target[0] {
	case '@':
		if labelled && label != "" {
			return "@" + strings.TrimPrefix(label, "@")
		}
		return target
	case '#':
		if labelled && label != "" {
			return "#" + strings.TrimPrefix(label, "#")
		}
		return target
	case '!':
		if labelled && label != "" {
			if strings.HasPrefix(target, "!date") {
				return label
			}
			return "@" + strings.TrimPrefix(label, "@")
		}
		name := target[1:]
		if _, id, ok := strings.Cut(name, "^"); ok && strings.HasPrefix(name, "subteam") {
			return "@" + id
		}
		return "@" + name
	}
	if labelled && label != "" {
		return label
	}
	return strings.TrimPrefix(target, "mailto:")
}
