// mrkdwn.js turns Slack's markup into nodes. Every character of a message
// that is not markup ends up in a text node.

import { decode, h, link, safeURL } from "./dom.js";
import { glyph } from "./emoji.js";
import { channel, state, user } from "./store.js";

// mrkdwn returns the nodes of a text: code fences, quotes, lines, spans.
export function mrkdwn(text) {
  const out = [];
  const parts = String(text ?? "").split("```");
  parts.forEach((part, i) => {
    if (i % 2 === 1 && i < parts.length - 1) {
      out.push(h("pre.fence", null, decodeMarks(part.replace(/^\n/, ""))));
      return;
    }
    if (i % 2 === 1) part = "```" + part; // never closed: text
    out.push(...lines(part));
  });
  return out;
}

function lines(text) {
  const out = [];
  let quote = null;
  const all = text.split("\n");
  all.forEach((line, i) => {
    const m = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (m) {
      if (!quote) out.push((quote = h("blockquote")));
      else quote.append(h("br"));
      quote.append(...spans(m[1]));
      return;
    }
    const afterQuote = quote !== null;
    quote = null;
    if (i > 0 && !afterQuote) out.push(h("br"));
    out.push(...spans(line));
  });
  return out;
}

const marks = [
  [/`([^`\n]+)`/, (m) => h("code", null, decodeMarks(m[1]))],
  [/<([^<>\n]+)>/, (m) => angle(m[1])],
  [/(?<![\w*])\*(\S|\S[^*\n]*?\S)\*(?![\w*])/, (m) => h("strong", null, spans(m[1]))],
  [/(?<![\w_])_(\S|\S[^_\n]*?\S)_(?![\w_])/, (m) => h("em", null, spans(m[1]))],
  [/(?<![\w~])~(\S|\S[^~\n]*?\S)~(?![\w~])/, (m) => h("s", null, spans(m[1]))],
  [/:([a-z0-9_+'-]+):/, (m) => emojiNode(m[1])],
];

// spans finds the first mark of a line, and goes on within and behind it.
function spans(text) {
  const out = [];
  while (text) {
    let best = null;
    for (const [re, make] of marks) {
      const m = re.exec(text);
      if (m && (!best || m.index < best.m.index)) best = { m, make };
    }
    if (!best) {
      out.push(decode(text));
      break;
    }
    if (best.m.index) out.push(decode(text.slice(0, best.m.index)));
    out.push(best.make(best.m));
    text = text.slice(best.m.index + best.m[0].length);
  }
  return out;
}

export function emojiNode(name) {
  const g = glyph(name, state.emoji);
  return h("span.emoji", { title: ":" + name + ":" }, g);
}

export function userNode(id, label) {
  const u = user(id);
  return h(id === state.me ? "span.mention.me" : "span.mention", null, "@" + (u ? u.name : label || id));
}

export function channelNode(id, label) {
  const c = channel(id);
  return h("a.mention", { href: "#/" + encodeURIComponent(id) }, "#" + (c?.name || label || id));
}

// angle renders what stands between < and >.
function angle(body) {
  const bar = body.indexOf("|");
  const what = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? "" : decode(body.slice(bar + 1));
  switch (what[0]) {
    case "@":
      return userNode(what.slice(1), label);
    case "#":
      return channelNode(what.slice(1), label);
    case "!":
      return special(what.slice(1), label);
  }
  const url = decode(what);
  if (!safeURL(url)) return h("span", null, label || url); // javascript: and the like stay text
  return link(url, label || url.replace(/^mailto:/, ""));
}

function special(what, label) {
  const [name, ...rest] = what.split("^");
  if (name === "subteam") {
    const g = state.groups.find((x) => x.id === rest[0]);
    return h("span.mention", null, g ? "@" + g.handle : label || "@" + rest[0]);
  }
  if (name === "date") {
    const d = new Date(Number(rest[0]) * 1000);
    return h("time", null, isNaN(d) ? label : d.toLocaleString());
  }
  return h("span.mention", null, "@" + name);
}

// decodeMarks shows markup within code as its label, as Slack does.
function decodeMarks(text) {
  return decode(text.replace(/<([^<>\n]+)>/g, (_, b) => b.split("|").pop()));
}

// textObject renders a Block Kit text object.
export function textObject(t) {
  if (!t) return [];
  if (typeof t === "string") return [t];
  return t.type === "mrkdwn" ? mrkdwn(t.text) : plain(t.text);
}

// plain renders plain_text, with emoji.
export function plain(text) {
  return String(text ?? "").split(/(:[a-z0-9_+'-]+:)/).map((s, i) => (i % 2 ? emojiNode(s.slice(1, -1)) : s));
}

// richText renders the elements of a rich_text block.
export function richText(elements = []) {
  return elements.map((el) => {
    switch (el.type) {
      case "rich_text_list":
        return h(el.style === "ordered" ? "ol" : "ul", null, (el.elements || []).map((li) => h("li", null, richSpans(li.elements))));
      case "rich_text_preformatted":
        return h("pre.fence", null, richSpans(el.elements));
      case "rich_text_quote":
        return h("blockquote", null, richSpans(el.elements));
    }
    return h("div", null, richSpans(el.elements));
  });
}

function richSpans(elements = []) {
  return elements.map((e) => {
    let node;
    switch (e.type) {
      case "user": node = userNode(e.user_id); break;
      case "channel": node = channelNode(e.channel_id); break;
      case "usergroup": node = special("subteam^" + e.usergroup_id, ""); break;
      case "broadcast": node = h("span.mention", null, "@" + e.range); break;
      case "emoji": node = emojiNode(e.name); break;
      case "link": node = link(e.url, e.text || e.url); break;
      default: node = h("span", null, String(e.text ?? ""));
    }
    for (const [style, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"]]) {
      if (e.style?.[style]) node = h(tag, null, node);
    }
    return node;
  });
}
