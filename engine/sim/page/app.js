// app.js is the page: it lays out the panes and draws each again when the
// state behind it changes.

import { h } from "./dom.js";
import { blocks } from "./blocks.js";
import { composer } from "./composer.js";
import { refreshInspector, renderInspector } from "./inspector.js";
import { edit, list, avatar } from "./message.js";
import { renderModals } from "./modal.js";
import { act, changed, channel, notices, people, start, state, title, user, watch } from "./store.js";

const $ = (id) => document.getElementById(id);
const composers = new Map(); // one per place, so that drafts stay

notices((text) => {
  const n = h("div.notice", { "data-testid": "notice" }, text, h("button.quiet", { type: "button", "aria-label": "Dismiss", onclick: () => n.remove() }, "✕"));
  $("notices").append(n);
  setTimeout(() => n.remove(), 8000);
});

// Places: #/C0GENERAL, #/C0GENERAL/123.456 (a thread), #/home.
function route() {
  const [, place, thread] = decodeURIComponent(location.hash).split("/");
  const archived = /^#\/archives\/(\w+)/.exec(location.hash);
  state.place = archived ? archived[1] : place || state.channels.find((c) => !c.is_im)?.id || "";
  state.thread = archived ? "" : thread || "";
  delete state.unread[state.place];
  document.body.dataset.pane = state.thread ? "thread" : "main";
  changed("place");
}

const go = (place, thread) => {
  const hash = "#/" + place + (thread ? "/" + thread : "");
  if (location.hash === hash) route();
  else location.hash = hash;
};

function renderSidebar() {
  const select = $("act-as");
  select.replaceChildren(...people().map((u) => h("option", { value: u.id, selected: u.id === state.me }, u.real_name)));
  const item = (id, label, testid, unread, icon) => h("a.place" + (id === state.place ? ".here" : "") + (unread ? ".unread" : ""),
    { href: "#/" + id, "data-testid": testid, "aria-current": id === state.place ? "page" : undefined },
    icon || "", h("span.name", null, label), unread ? h("span.count", { "aria-label": unread + " unread" }, String(unread)) : "");
  const mine = state.channels.filter((c) => c.members.includes(state.me));
  const app = user(state.app.user_id);
  const shortcuts = state.catalog.shortcuts || [];
  const dm = h("select", { "aria-label": "New direct message", "data-testid": "new-dm", onchange: async (e) => {
    const out = await act("dm", { with: e.target.value });
    e.target.value = "";
    if (out.ok) go(out.channel);
  } }, h("option", { value: "" }, "+ New message"), people().filter((u) => u.id !== state.me).map((u) => h("option", { value: u.id }, u.real_name)));
  $("places").replaceChildren(
    h("h2", null, "Channels"),
    ...mine.filter((c) => !c.is_im && !c.is_mpim).map((c) => item(c.id, "# " + c.name, "channel-" + c.name, state.unread[c.id])),
    h("h2", null, "Direct messages"),
    ...mine.filter((c) => c.is_im || c.is_mpim).map((c) => item(c.id, c.is_mpim ? c.name : title(c), "dm-" + title(c).replace("#", ""), state.unread[c.id],
      avatar(user(c.members.find((m) => m !== state.me) || state.me)))),
    dm,
    h("h2", null, "App"),
    item("home", (app?.name || "App") + " · Home", "home", 0, avatar(app)),
    shortcuts.length ? h("select", { "aria-label": "Run a shortcut", "data-testid": "shortcuts", onchange: (e) => {
      act("shortcut", { callback_id: e.target.value });
      e.target.value = "";
    } }, h("option", { value: "" }, "⚡ Run a shortcut"), shortcuts.map((s) => h("option", { value: s.name }, s.help || s.name))) : "");
}

// frame keeps the parts of the main pane while the place stays.
let frame = { place: null };

function renderMain() {
  const main = $("main");
  if (state.place === "home") return renderHome(main);
  const c = channel(state.place);
  if (!c) {
    frame = { place: null };
    return main.replaceChildren(h("p.empty", null, "Choose a channel."));
  }
  const id = c.id + state.me;
  if (frame.place !== id) {
    const box = h("div.messages", { role: "log", "aria-label": "Messages in " + title(c), "data-testid": "messages" });
    const scroll = h("div.scroll", null, box);
    if (!composers.has(c.id)) {
      composers.set(c.id, composer({ where: () => ({ channel: c.id }), placeholder: "Message " + title(c), testid: "composer", onUp: () => editLast($("main")) }));
    }
    const member = c.members.includes(state.me);
    main.replaceChildren(
      h("header.place-head", null, h("h1", { "data-testid": "place" }, title(c)), h("span.faint", null, c.topic || ""),
        h("span.faint.members", { title: c.members.map((m) => user(m)?.name).join(", ") }, c.members.length + " members")),
      scroll,
      member ? composers.get(c.id) : h("p.empty", null, "You are not in this channel."));
    frame = { place: id, box, scroll };
  }
  const near = frame.scroll.scrollHeight - frame.scroll.scrollTop - frame.scroll.clientHeight < 120 || !frame.drawn;
  const shown = (state.messages[c.id] || []).filter((m) => mayShow(m) && (!m.thread_ts || m.thread_ts === m.ts));
  list(frame.box, shown, { openThread: (ts) => go(c.id, ts) });
  if (!shown.length) frame.box.replaceChildren(h("p.empty", null, "This is the very beginning of ", h("strong", null, title(c)), ". Say something; try @" + (user(state.app.user_id)?.name || "the app") + "."));
  if (near) frame.scroll.scrollTop = frame.scroll.scrollHeight;
  frame.drawn = true;
}

const mayShow = (m) => !m.viewer || m.viewer === state.me;

function editLast(pane) {
  const rows = [...pane.querySelectorAll(".message[data-user='" + CSS.escape(state.me) + "']")];
  const row = rows.at(-1);
  const m = row && (state.messages[state.place] || []).find((x) => x.ts === row.dataset.ts);
  if (m && !m.viewer && !m.bot_id) edit(row, m);
}

let opened = "";

function renderHome(main) {
  frame = { place: null };
  const key = "home" + state.me;
  if (opened !== key) {
    opened = key;
    act("home", {});
  }
  const v = state.homes[state.me];
  const body = h("div.home", { "data-testid": "app-home" });
  body.append(...(v ? blocks(v.blocks, { where: { view_id: v.id }, root: () => body, values: v.values }) :
    [h("p.empty", null, "The app has not published a Home for you yet. It was told that you opened it (app_home_opened).")]));
  main.replaceChildren(h("header.place-head", null, h("h1", { "data-testid": "place" }, (user(state.app.user_id)?.name || "App") + " · Home")), h("div.scroll", null, body));
}

let threadFrame = { key: null };

function renderThread() {
  const pane = $("thread");
  pane.hidden = !state.thread;
  document.body.classList.toggle("with-thread", Boolean(state.thread));
  if (!state.thread) {
    threadFrame = { key: null };
    return;
  }
  const c = channel(state.place);
  const key = state.place + state.thread + state.me;
  if (threadFrame.key !== key && c) {
    const box = h("div.messages", { role: "log", "aria-label": "Thread", "data-testid": "thread-messages" });
    const scroll = h("div.scroll", null, box);
    const where = { channel: c.id, thread_ts: state.thread };
    const draft = key + "thread";
    if (!composers.has(draft)) composers.set(draft, composer({ where: () => where, placeholder: "Reply…", testid: "thread", commands: false }));
    pane.replaceChildren(
      h("header.place-head", null, h("h1", null, "Thread"), h("span.faint", null, title(c)),
        h("button.quiet", { type: "button", "aria-label": "Close thread", "data-testid": "thread-close", onclick: () => go(state.place) }, "✕")),
      scroll, composers.get(draft));
    threadFrame = { key, box, scroll };
    composers.get(draft).focusBox();
  }
  const shown = (state.messages[state.place] || []).filter((m) => mayShow(m) && (m.ts === state.thread || m.thread_ts === state.thread));
  list(threadFrame.box, shown, { inThread: true });
  threadFrame.scroll.scrollTop = threadFrame.scroll.scrollHeight;
}

watch((kind) => {
  const all = kind === "all" || kind === "place" || kind === "me";
  if (all || ["channel", "message", "catalog"].includes(kind)) renderSidebar();
  if (all || ["message", "delete", "channel", "catalog"].includes(kind) || (kind === "home" && state.place === "home")) renderMain();
  if (all || kind === "message" || kind === "delete") renderThread();
  if (all || kind === "modal") renderModals($("modals"));
  if (kind === "all") renderInspector($("inspector"));
  else if (["delivery", "call", "event", "run", "rules", "faults", "clock", "subscription"].includes(kind)) refreshInspector(kind);
  if (state.place !== "home") opened = "";
});

$("act-as").addEventListener("change", (e) => {
  state.me = e.target.value;
  sessionStorage.setItem("me", state.me);
  state.unread = {};
  const c = channel(state.place);
  if (c && !c.members.includes(state.me)) go(state.channels.find((x) => !x.is_im).id);
  else changed("me");
});

for (const b of document.querySelectorAll("[data-show]")) {
  b.addEventListener("click", () => { document.body.dataset.pane = b.dataset.show; });
}

const theme = (t) => {
  document.documentElement.dataset.theme = t;
  localStorage.setItem("theme", t);
};
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");
$("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  theme(now === "dark" ? "light" : "dark");
});

document.addEventListener("keydown", (e) => {
  if (e.key === "Escape" && state.thread && !document.querySelector("dialog[open], .picker, form.edit")) go(state.place);
  if (e.altKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) {
    const links = [...document.querySelectorAll(".place")];
    const i = links.findIndex((a) => a.classList.contains("here"));
    links[(i + (e.key === "ArrowDown" ? 1 : links.length - 1)) % links.length]?.click();
    e.preventDefault();
  }
});

addEventListener("hashchange", route);
await start((live) => {
  $("live").textContent = live ? "live" : "reconnecting";
  $("live").classList.toggle("on", live);
});
route();
composers.get(state.place)?.focusBox();
