// message.js renders messages: rows with their tools, reactions and threads.

import { ask, h, when } from "./dom.js";
import { attachment, blocks } from "./blocks.js";
import { common, emoji, glyph } from "./emoji.js";
import { mrkdwn } from "./mrkdwn.js";
import { act, state, user } from "./store.js";

// A row is made again only when its message changes, so that open menus and
// half-made choices in other messages stay.
const rows = new Map();

// list renders messages into a node, keeping unchanged rows.
export function list(into, messages, opts = {}) {
  const nodes = [];
  let before = null;
  for (const m of messages) {
    const joined = before && !m.viewer && !before.viewer && before.user === m.user && before.username === m.username && m.ts - before.ts < 300 && !m.subtype;
    const key = (opts.inThread ? "t" : "") + m.channel + m.ts;
    let row = rows.get(key);
    if (!row || row.m !== m || row.joined !== joined || row.me !== state.me || row.catalog !== state.catalog) {
      row = { m, joined, me: state.me, catalog: state.catalog, node: message(m, { ...opts, joined }) };
      rows.set(key, row);
    }
    nodes.push(row.node);
    before = m;
  }
  const same = into.children.length === nodes.length && nodes.every((n, i) => into.children[i] === n);
  if (!same) into.replaceChildren(...nodes);
}

export function avatar(u, name) {
  const a = h("span.avatar", { "aria-hidden": "true" }, (name || u?.name || "?").slice(0, 1).toUpperCase());
  if (/^[0-9a-f]{6}$/i.test(u?.color || "")) a.style.setProperty("background", "#" + u.color);
  return a;
}

function message(m, opts) {
  const u = user(m.user);
  const name = m.username || u?.name || "someone";
  const body = h("div.body");
  const ctx = { where: { channel: m.channel, ts: m.ts }, root: () => body };
  const shown = m.subtype === "tombstone" ? [h("em.faint", null, m.text)] :
    m.blocks?.length ? blocks(m.blocks, ctx) : m.text ? [h("div.text", { "data-testid": "message-text" }, mrkdwn(m.text))] : [];
  body.append(...shown, ...(m.attachments || []).map((a) => attachment(a, ctx)));
  if (m.edited) body.append(h("span.faint.edited", { "data-testid": "edited" }, "(edited)"));
  const bot = m.bot_id || u?.is_bot;
  return h("article.message" + (m.viewer ? ".ephemeral" : "") + (opts.joined ? ".joined" : ""),
    { tabindex: "0", "data-testid": m.viewer ? "ephemeral" : "message", "data-ts": m.ts, "data-user": m.user, onkeydown: (e) => keys(e, m, opts) },
    opts.joined ? h("time.gutter", { title: m.ts }, when(m.ts).slice(0, 5)) : avatar(u, name),
    h("div.content", null,
      m.viewer ? h("div.only-you", null, "Only visible to you") : "",
      opts.joined ? "" : h("div.who", null, h("strong", null, name), bot ? h("span.badge", null, "APP") : "", h("time.faint", { title: m.ts }, when(m.ts))),
      body,
      reactions(m),
      m.reply_count && !opts.inThread ? h("button.replies", { type: "button", "data-testid": "replies", onclick: () => opts.openThread(m.ts) },
        m.reply_count + (m.reply_count === 1 ? " reply" : " replies")) : ""),
    tools(m, opts));
}

function reactions(m) {
  if (!m.reactions?.length) return "";
  return h("div.reactions", null, m.reactions.map((r) => {
    const mine = r.users.includes(state.me);
    return h("button.reaction" + (mine ? ".mine" : ""), {
      type: "button", "data-testid": "reaction-" + r.name, "aria-pressed": String(mine),
      title: r.users.map((id) => user(id)?.name || id).join(", ") + " reacted with :" + r.name + ":",
      onclick: () => act("react", { channel: m.channel, ts: m.ts, name: r.name, remove: mine }),
    }, glyph(r.name, state.emoji), " ", String(r.count));
  }));
}

function tools(m, opts) {
  const button = (name, text, f) => h("button.quiet", { type: "button", title: name, "aria-label": name, "data-testid": "tool-" + name.split(/\W/)[0].toLowerCase(), onclick: f }, text);
  const where = { channel: m.channel, ts: m.ts };
  if (m.viewer) return h("div.tools", null, button("Dismiss message", "Dismiss", () => act("delete", where)));
  const mine = m.user === state.me && !m.bot_id;
  const shortcuts = state.catalog.message_actions || [];
  return h("div.tools", null,
    button("React to message", "React", (e) => pickEmoji(e.currentTarget, m)),
    opts.inThread ? "" : button("Thread: reply", "Reply", () => opts.openThread(m.thread_ts || m.ts)),
    mine ? button("Edit message", "Edit", (e) => edit(e.currentTarget.closest(".message"), m)) : "",
    mine ? button("Delete message", "Delete", () => remove(m)) : "",
    shortcuts.length ? h("select.overflow", { "aria-label": "Message shortcuts", "data-testid": "message-shortcuts", onchange: (e) => {
      const callback_id = e.target.value;
      e.target.value = "";
      if (callback_id) act("message_action", { ...where, callback_id });
    } }, h("option", { value: "" }, "⋯"), shortcuts.map((s) => h("option", { value: s.name }, s.help || s.name))) : "");
}

async function remove(m) {
  const yes = await ask({ title: "Delete message", text: "This cannot be undone.", confirm: "Delete", deny: "Cancel", danger: true });
  if (yes) act("delete", { channel: m.channel, ts: m.ts });
}

// keys are the keyboard's way to the tools of the focused message.
function keys(e, m, opts) {
  if (e.target !== e.currentTarget || m.viewer) return;
  const mine = m.user === state.me && !m.bot_id;
  if (e.key === "t" && !opts.inThread) opts.openThread(m.thread_ts || m.ts);
  else if (e.key === "r") pickEmoji(e.currentTarget.querySelector(".tools button"), m);
  else if (e.key === "e" && mine) edit(e.currentTarget, m);
  else if (e.key === "Delete" && mine) remove(m);
  else if (e.key === "ArrowUp") e.currentTarget.previousElementSibling?.focus();
  else if (e.key === "ArrowDown") e.currentTarget.nextElementSibling?.focus();
  else return;
  e.preventDefault();
}

function pickEmoji(anchor, m) {
  document.querySelector(".picker")?.remove();
  const add = (name) => {
    close();
    act("react", { channel: m.channel, ts: m.ts, name });
  };
  const grid = h("div.grid");
  const show = (q) => {
    const names = q ? [...emoji.keys()].filter((n) => n.includes(q)).slice(0, 40) : [...common, ...[...emoji.keys()].slice(2, 34)];
    grid.replaceChildren(...[...new Set(names)].map((n) => h("button.quiet", { type: "button", title: ":" + n + ":", "aria-label": n, onclick: () => add(n) }, emoji.get(n))));
  };
  const box = h("input", { type: "text", placeholder: "emoji name", "aria-label": "Emoji name", "data-testid": "emoji-input" });
  const p = h("div.picker", { "data-testid": "emoji-picker" }, box, grid);
  const close = () => {
    p.remove();
    document.removeEventListener("pointerdown", outside);
  };
  const outside = (e) => p.contains(e.target) || close();
  box.addEventListener("input", () => show(box.value.replaceAll(":", "")));
  p.addEventListener("keydown", (e) => {
    if (e.key === "Escape") close();
    if (e.key === "Enter" && e.target === box && box.value) add(box.value.replaceAll(":", ""));
  });
  show("");
  document.body.append(p);
  const at = anchor.getBoundingClientRect();
  p.style.setProperty("top", Math.min(at.bottom + 4, innerHeight - p.offsetHeight - 8) + "px");
  p.style.setProperty("left", Math.max(8, Math.min(at.right - p.offsetWidth, innerWidth - p.offsetWidth - 8)) + "px");
  document.addEventListener("pointerdown", outside);
  box.focus();
}

// edit puts an editor where the message is.
export function edit(row, m) {
  const body = row.querySelector(".body");
  const done = () => form.replaceWith(body);
  const box = h("textarea", { "aria-label": "Edit message", "data-testid": "edit-input", value: source(m.text) });
  const form = h("form.edit", { onsubmit: (e) => {
    e.preventDefault();
    done();
    act("edit", { channel: m.channel, ts: m.ts, text: box.value });
  } }, box, h("div.buttons", null, h("button", { type: "button", onclick: done }, "Cancel"), h("button.primary", { type: "submit", "data-testid": "edit-save" }, "Save")));
  box.addEventListener("keydown", (e) => {
    if (e.key === "Escape") done();
    if (e.key === "Enter" && !e.shiftKey) {
      e.preventDefault();
      form.requestSubmit();
    }
  });
  body.replaceWith(form);
  box.focus();
}

// source is what somebody would have typed to get this markup.
function source(text) {
  return text
    .replace(/<@(\w+)(\|[^>]*)?>/g, (_, id) => "@" + (user(id)?.name || id))
    .replace(/<#\w+\|([^>]*)>/g, "#$1").replace(/<!(\w+)>/g, "@$1").replace(/<(https?:[^|>]+)(\|[^>]*)?>/g, "$1")
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
