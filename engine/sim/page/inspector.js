// inspector.js shows what the app was told, what its rules made of it, and
// what it asked of Slack; and the switches for faults.

import { h, when } from "./dom.js";
import { files, rules, troubled } from "./rules.js";
import { mrkdwn } from "./mrkdwn.js";
import { timeline } from "./runs.js";
import { settings } from "./settings.js";
import { channel, state, title, user } from "./store.js";

let tab = "events";
const open = new Set(); // ids of entries that are folded out
let root = null;

export function renderInspector(into) {
  root = into;
  const tabs = [["events", "Events"], ["rules", "Rules"], ["calls", "API calls"], ["faults", "Faults, clock"]];
  const head = h("div.tabs", { role: "tablist" }, tabs.map(([id, name]) =>
    h("button", { type: "button", role: "tab", "aria-selected": String(tab === id), "data-testid": "tab-" + id, onclick: () => {
      tab = id;
      renderInspector(into);
    } }, name, id === "faults" && active() ? h("span.dot", { title: "faults are on" }) : "", id === "rules" && troubled() ? h("span.dot", { title: "a rule is off, or a file has a problem" }) : "")));
  const at = into.querySelector(".pane")?.scrollTop || 0;
  const pane = h("div.pane", { role: "tabpanel" });
  pane.append(...(tab === "events" ? events() : tab === "rules" ? rules() : tab === "calls" ? calls() : [settings(), faults()]));
  into.replaceChildren(head, pane);
  pane.scrollTop = at;
}

// refresh draws again unless somebody is typing into the faults.
export function refreshInspector(kind) {
  if (!root) return;
  if (tab === "faults" && !["faults", "clock", "subscription"].includes(kind)) return;
  renderInspector(root);
}

function active() {
  const f = state.faults;
  return f.slow_ms || f.lost_acks || f.events_per_hour || f.mute_pings || Object.keys(f.rate_limit || {}).length || Object.keys(f.missing_scope || {}).length || Object.keys(f.errors || {}).length;
}

// entries joins deliveries, traces and runs by the event's id, newest first.
function entries() {
  const byID = new Map();
  const at = (id, time) => {
    if (!byID.has(id)) byID.set(id, { id, at: time, deliveries: [], runs: [] });
    return byID.get(id);
  };
  for (const d of state.deliveries) at(d.id, d.at).deliveries.push(d);
  for (const e of state.events) at(e.id, e.at).trace = e;
  for (const r of state.runs) at(r.event_id, undefined).runs.push(r);
  return [...byID.values()].sort((a, b) => new Date(b.at || 0) - new Date(a.at || 0)).slice(0, 120);
}

function events() {
  const all = entries();
  if (!all.length) {
    return [h("p.empty", null, state.connected ? "Say something, click something: what the app is told shows up here, with the rules that matched." : "No app is connected.")];
  }
  return all.map(entry);
}

function entry(e) {
  const d = e.deliveries.at(-1);
  const t = e.trace;
  const verdicts = t?.verdicts || [];
  const matched = verdicts.filter((v) => v.matched);
  const what = summary(e);
  const fold = folded(e.id, [
    h("span.kind", null, t?.kind || d?.type || "event"),
    h("span.what", null, what),
    e.runs.map((r) => badge(r.outcome)),
    d && (d.error || e.deliveries.length > 1) ? badge(d.error || "retried", d.error ? "failed" : "waiting") : "",
    h("time.faint", null, e.at ? when(e.at) : ""),
  ], () => [
    ...e.runs.map(run),
    verdicts.length ? h("div.verdicts", null,
      [...matched, ...verdicts.filter((v) => !v.matched)].map((v) => h("div.verdict" + (v.matched ? ".yes" : ""), { "data-testid": "verdict", "data-matched": String(v.matched) },
        h("span", { "aria-hidden": "true" }, v.matched ? "✓" : "✗"), h("code", null, v.rule), h("span.faint", null, v.matched ? "matched" : v.reason)))) : "",
    t && !verdicts.length ? h("p.faint", null, "No rules are loaded for this kind of event.") : "",
    t && state.helps ? files(e.id, matched.length === 0) : "",
    e.deliveries.map((x) => delivery(e.id, x)),
  ]);
  fold.dataset.testid = "event";
  fold.dataset.kind = t?.kind || d?.type || "";
  if (matched.length) fold.classList.add("matched");
  return fold;
}

function summary(e) {
  const t = e.trace;
  if (t) {
    const where = t.channel && channel(t.channel) ? " in " + title(channel(t.channel)) : "";
    return [t.text ? mrkdwn(t.text) : t.type, h("span.faint", null, (t.user && user(t.user) ? " · " + user(t.user).name : "") + where)];
  }
  const d = e.deliveries[0];
  return d ? told(d) : "run without event";
}

const payloads = new WeakMap(); // parsed once per delivery

// told says in a few words what a delivery was about.
function told(d) {
  if (!payloads.has(d)) payloads.set(d, parsed(d));
  const p = payloads.get(d);
  if (d.kind === "slash_commands") return p.text || "";
  const ev = p?.event;
  const by = user(ev?.user || p?.user?.id)?.name;
  const what = ev?.text || ev?.message?.text || ev?.previous_message?.text || ev?.reaction ||
    p?.actions?.map((a) => a.action_id).join(", ") || p?.action_id || p?.callback_id || p?.view?.callback_id || "";
  return [mrkdwn(what), h("span.faint", null, by ? (what ? " · " : "") + by : "")];
}

function badge(text, style = text) {
  return h("span.outcome." + String(style).replace(/\W/g, ""), { "data-testid": "outcome" }, text);
}

function run(r) {
  return h("section.run", { "data-testid": "run" },
    h("div.run-head", null, badge(r.outcome), h("code", null, r.rule), h("span.faint", null, `${r.steps} steps · ${round(r.ms)} ms`)),
    r.error ? h("pre.trace", { role: "alert" }, r.error) : "",
    (r.effects || []).map((f) => {
      const d = folded(r.id + "/" + f.step, [
        h("span.step", null, String(f.step)), h("code", null, f.kind), h("span.what.faint", null, brief(f.args)),
        f.error || f.result?.ok === false ? badge(f.error ? "error" : f.result.error || "not ok", "failed") : "", h("span.faint", null, round(f.ms) + " ms"),
      ], () => [json("request", f.args), json("answer", f.error || f.result)]);
      d.dataset.testid = "effect";
      return d;
    }),
    (r.logs || []).map((l) => h("div.log." + String(l.level).toLowerCase().replace(/\W/g, ""), { "data-testid": "log", title: l.pos }, h("span", null, l.level), " ", l.text)),
    state.keeps ? storyFold(r) : "");
}

function storyFold(r) {
  const d = folded(r.id + "/story", [h("span.what", null, "Time line"), h("span.faint", null, r.outcome === "waiting" ? "what it waits for, what would wake it" : "")], () => [timeline(r)]);
  d.dataset.testid = "open-timeline";
  return d;
}

function delivery(id, d) {
  const status = d.status ? "HTTP " + d.status : d.error;
  return folded(id + "#" + d.attempt, [
    h("span.step", null, d.attempt ? "↻" + d.attempt : "→"), h("span.what", null, d.kind + " · " + status + (d.error && d.status ? " · " + d.error : "")),
    h("span.faint", null, round(d.ms) + " ms")],
  () => [json("payload", parsed(d)), d.answer ? json("answer", maybe(d.answer)) : ""]);
}

const maybe = (s) => {
  try {
    return JSON.parse(s);
  } catch {
    return s;
  }
};

const parsed = (d) => (d.kind === "slash_commands" ? Object.fromEntries(new URLSearchParams(d.payload)) : maybe(d.payload));
const round = (ms) => (ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms));

function brief(args) {
  if (!args || typeof args !== "object") return String(args ?? "");
  return Object.entries(args).map(([k, v]) => k + "=" + (typeof v === "string" ? v : JSON.stringify(v))).join(" ").slice(0, 120);
}

function json(name, v) {
  if (v === undefined || v === null || v === "") return "";
  return h("div.json", null, h("div.faint", null, name), h("pre", { tabindex: "0" }, typeof v === "string" ? v : JSON.stringify(v, null, 2)));
}

// folded is a <details> that stays as it is when the list is drawn again, and
// makes its inside only when it is opened.
function folded(id, head, inside) {
  const d = h("details.fold", { open: open.has(id) }, h("summary", null, head));
  const fill = () => {
    if (d.children.length === 1) d.append(h("div.inside", null, inside()));
  };
  if (open.has(id)) fill();
  d.addEventListener("toggle", () => {
    if (d.open) {
      open.add(id);
      fill();
    } else open.delete(id);
  });
  return d;
}

function calls() {
  if (!state.calls.length) return [h("p.empty", null, "No calls of the Web API yet.")];
  return state.calls.toReversed().slice(0, 120).map((c) => {
    const d = folded("call" + c.at + c.method, [
      h("code", null, c.method), h("span.what.faint", null, brief(c.args)),
      c.ok ? "" : badge(c.error, "failed"), h("time.faint", null, when(c.at))],
    () => [json("arguments", c.args), h("p.faint", null, `HTTP ${c.status} · ${round(c.ms)} ms`)]);
    d.dataset.testid = "call";
    return d;
  });
}

function faults() {
  const f = state.faults;
  const pairs = (o) => Object.entries(o || {}).map(([k, v]) => k + "=" + v).join("\n");
  const field = (name, label, hint, node) => h("label.fault", null, h("span", null, label), node, h("span.faint", null, hint));
  const area = (name, v, ph) => h("textarea", { name, rows: 2, placeholder: ph, value: v, "data-testid": "fault-" + name });
  const num = (name, v) => h("input", { name, type: "number", min: -1, value: v || 0, "data-testid": "fault-" + name });
  const form = h("form.faults", { onsubmit: (e) => {
    e.preventDefault();
    const v = (n) => form.elements[n].value;
    const map = (n, conv) => Object.fromEntries(v(n).split("\n").map((l) => l.trim()).filter(Boolean).map((l) => {
      const [k, ...rest] = l.split("=");
      return [k.trim(), conv(rest.join("=").trim())];
    }));
    save({ ...f, slow_ms: Number(v("slow_ms")), lost_acks: Number(v("lost_acks")), retry_after: Number(v("retry_after")),
      rate_limit: map("rate_limit", (x) => Number(x || 1)), missing_scope: map("missing_scope", (x) => x || "chat:write"), errors: map("errors", (x) => x || "internal_error") });
  } },
  h("p.faint", null, "What goes wrong on purpose. “*” stands for every method, -1 for always."),
  field("slow_ms", "Slow answers", "milliseconds before each Web API answer", num("slow_ms", f.slow_ms)),
  field("lost_acks", "Lost acks", "answers of the app that Slack does not see: events are retried", num("lost_acks", f.lost_acks)),
  field("rate_limit", "Rate limits", "method=count, one a line", area("rate_limit", pairs(f.rate_limit), "chat.postMessage=2")),
  field("retry_after", "Retry-After", "seconds", num("retry_after", f.retry_after || 1)),
  field("missing_scope", "Missing scopes", "method=scope, one a line", area("missing_scope", pairs(f.missing_scope), "users.list=users:read")),
  field("errors", "Errors", "method=code, one a line", area("errors", pairs(f.errors), "chat.update=internal_error")),
  h("div.buttons", null,
    h("button", { type: "button", "data-testid": "faults-clear", onclick: () => save({}) }, "Heal everything"),
    h("button.primary", { type: "submit", "data-testid": "faults-save" }, "Apply")));
  return form;
}

async function save(f) {
  await fetch("/sim/faults", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(f) });
}
