// store.js holds what the server said, and asks it for more.

export const state = {
  me: sessionStorage.getItem("me") || "",
  place: "", // channel id, or "home"
  thread: "", // ts
  users: [], channels: [], messages: {}, modals: {}, homes: {}, catalog: {}, rules: {}, faults: {}, clock: {}, subscription: null,
  deliveries: [], calls: [], events: [], runs: [], groups: [], emoji: {}, app: {}, team: {}, unread: {},
};

const watchers = new Set();

// watch calls f(kind) after each change of the state.
export function watch(f) {
  watchers.add(f);
}

export function changed(kind) {
  for (const f of watchers) f(kind);
}

export const user = (id) => state.users.find((u) => u.id === id);
export const channel = (id) => state.channels.find((c) => c.id === id);
export const people = () => state.users.filter((u) => !u.is_bot && u.id !== "USLACKBOT");

// title names a channel for the person who acts.
export function title(c) {
  if (!c.is_im) return "#" + c.name;
  const other = c.members.find((m) => m !== state.me) || c.members[0];
  return (user(other) || { name: "?" }).name;
}

// act posts to /sim/<name> and returns the answer; errors become notices.
export async function act(name, body) {
  let out;
  try {
    const res = await fetch("/sim/" + name, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: state.me, ...body }),
    });
    out = await res.json();
  } catch (e) {
    out = { ok: false, error: "the local Slack does not answer (" + e.message + ")" };
  }
  if (!out.ok) notify(out.error);
  return out;
}

let onNotice = () => {};
export function notices(f) {
  onNotice = f;
}
export function notify(text) {
  onNotice(text);
}

function put(list, item, same, max = 400) {
  const i = list.findIndex(same);
  if (i >= 0) list[i] = item;
  else list.push(item);
  if (list.length > max) list.splice(0, list.length - max);
}

const applied = {
  message(m) {
    const list = (state.messages[m.channel] ||= []);
    const fresh = !list.some((x) => x.ts === m.ts);
    put(list, m, (x) => x.ts === m.ts, 1000);
    list.sort((a, b) => (a.ts.length - b.ts.length) || (a.ts < b.ts ? -1 : 1));
    if (fresh && m.channel !== state.place && m.user !== state.me && (!m.viewer || m.viewer === state.me)) {
      state.unread[m.channel] = (state.unread[m.channel] || 0) + 1;
    }
  },
  delete(d) {
    state.messages[d.channel] = (state.messages[d.channel] || []).filter((m) => m.ts !== d.ts);
  },
  channel: (c) => put(state.channels, c, (x) => x.id === c.id, Infinity),
  modal: (m) => { state.modals[m.user] = m.stack; },
  home: (v) => { state.homes[v.user] = v; },
  notice: (n) => { if (!n.user || n.user === state.me) notify(n.text); },
  delivery: (d) => put(state.deliveries, d, (x) => x.id === d.id && x.attempt === d.attempt && x.kind === d.kind),
  call: (c) => put(state.calls, c, () => false),
  event: (e) => put(state.events, e, (x) => x.id === e.id),
  run: (r) => put(state.runs, r, (x) => x.id === r.id),
  faults: (f) => { state.faults = f; },
  clock: (c) => { state.clock = c; },
  subscription: (s) => { state.subscription = s; },
  catalog: (c) => { state.catalog = c; },
  rules: (r) => { state.rules = r; },
};

async function load() {
  const res = await fetch("/sim/state");
  Object.assign(state, await res.json());
  for (const k of ["users", "channels", "groups", "deliveries", "calls", "events", "runs"]) state[k] ||= [];
  if (!people().some((u) => u.id === state.me)) state.me = people()[0].id;
  changed("all");
  return state.seq;
}

// start loads the state and follows the changes. onLive is told whether the
// stream is open.
export async function start(onLive) {
  let seen = await load();
  const stream = new EventSource("/sim/stream?after=" + seen);
  stream.addEventListener("open", () => onLive(true));
  stream.addEventListener("error", () => onLive(false));
  stream.addEventListener("reset", async () => { seen = await load(); });
  stream.addEventListener("change", (e) => {
    const c = JSON.parse(e.data);
    if (c.seq <= seen) return;
    seen = c.seq;
    applied[c.kind]?.(c.data);
    changed(c.kind);
  });
}
