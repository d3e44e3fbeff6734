// runs.js is the page of the admin port: the runs that wait, the latest ones,
// those on old versions, and one of them with its time line. It asks the same
// endpoints as the command line. Text only ever becomes text nodes.

import { short, span, stamp, story } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const draft = new Map();

function h(spec, props, ...children) {
  const [tag, ...classes] = spec.split(".");
  const el = document.createElement(tag);
  if (classes.length) el.className = classes.join(" ");
  for (const [k, v] of Object.entries(props || {})) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) el.addEventListener(k.slice(2), v);
    else if (k === "value" || k === "disabled") el[k] = v;
    else el.setAttribute(k, v === true ? "" : String(v));
  }
  el.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

async function ask(path, o) {
  const res = await fetch(path, o);
  const out = await res.json();
  if (!res.ok) throw new Error(out.error || res.statusText);
  return out;
}

const lists = {
  waiting: { name: "Waiting", path: "/runs?state=waiting&limit=500", draw: waiting },
  old: { name: "Old versions", path: "/runs/versions?version=old", draw: versions },
  latest: { name: "Latest", path: "/runs?limit=200", draw: latest },
};

// The place is in the address: #waiting, #latest/RUN.
function place() {
  const [list, run] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { list: lists[list] ? list : "waiting", run: run || "" };
}

const to = (list, run) => "#" + list + (run ? "/" + encodeURIComponent(run) : "");

function table(head, rows) {
  return h("div.scroll", null, h("table", null, h("thead", null, h("tr", null, head.map((t) => h("th", { scope: "col" }, t)))), h("tbody", null, rows)));
}

function row(id, list, cells) {
  return h("tr" + (place().run === id ? ".here" : ""), { "data-testid": "row" },
    h("td.nowrap", null, h("a", { href: to(list, id) }, id)), cells.map((c) => h("td", null, c)));
}

function waiting(runs) {
  if (!runs.length) return h("p.faint", null, "No run waits.");
  const now = Date.now();
  return table(["Run", "Rule", "Waits", "Until", "For"], runs.map((r) => row(r.run, "waiting", [
    [h("code", null, r.rule), r.old ? h("span.bad", null, " old version") : ""], span(now - new Date(r.since)), r.until ? stamp(r.until) : "for ever", r.kind + " " + (r.title || "")])));
}

function versions(list) {
  if (!list.length) return h("p.faint", null, "No run waits on an old version.");
  return table(["Script", "Version", "Waiting", "Since", "In force", "Rules"], list.map((v) => h("tr", { "data-testid": "version" },
    [v.script, short(v.version), String(v.waiting), stamp(v.oldest), short(v.in_force) || "gone", v.rules.join(", ")].map((c) => h("td", null, c)))));
}

function latest(events) {
  const runs = events.flatMap((e) => (e.runs || []).map((r) => ({ e, r })));
  if (!runs.length) return h("p.faint", null, "No run yet.");
  return table(["Run", "When", "Rule", "Outcome", "Error"], runs.map(({ e, r }) => row(r.run, "latest", [
    stamp(e.stored), h("code", null, r.rule), r.outcome === "waiting" && !r.wait ? "under way" : r.outcome, r.error ? String(r.error.message || r.error.msg || "") : r.reason || ""])));
}

async function drawList() {
  const { list } = place();
  $("nav").replaceChildren(...Object.entries(lists).map(([id, l]) => h("a", { href: to(id), "data-testid": "list-" + id, "aria-current": id === list ? "page" : undefined }, l.name)));
  try {
    $("list").replaceChildren(lists[list].draw(await ask(lists[list].path)));
  } catch (e) {
    $("list").replaceChildren(h("p.bad", { role: "alert" }, e.message));
  }
}

async function drawRun() {
  const { run: id } = place();
  if (!id) return $("run").replaceChildren();
  try {
    const rep = await ask("/runs/" + encodeURIComponent(id));
    if (place().run !== id) return;
    $("run").replaceChildren(...(rep.runs || []).filter((r) => id === r.run || id === rep.event_id).flatMap((r) => one(rep, r)));
  } catch (e) {
    $("run").replaceChildren(h("p.bad", { role: "alert" }, e.message));
  }
}

function one(rep, r) {
  const fact = (name, text) => (text ? [h("dt", null, name), h("dd", null, text)] : []);
  return [
    h("h2", null, r.rule + " · " + (r.outcome === "waiting" && !r.wait ? "under way" : r.outcome)),
    h("dl.facts", null, fact("run", r.run), fact("event", [rep.event_id, rep.about ? ": " + rep.about : ""].join("")),
      fact("by", [rep.user, rep.channel].filter(Boolean).join(" in ")), fact("version", short(r.version)),
      fact("work", r.passes ? `${r.steps} steps in ${r.passes} ${r.passes === 1 ? "pass" : "passes"}, ${r.dur_ms} ms` : "")),
    story(h, r, { now: new Date(), draft, act: (verb, more) => act(r.run, verb, more) }),
  ];
}

async function act(id, verb, more) {
  const { step, ...body } = more;
  try {
    const did = await ask(`/runs/${encodeURIComponent(id)}/${verb}${step ? "?step=" + step : ""}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    draft.delete(id);
    setTimeout(() => {
      if (did.new_run) location.hash = to(place().list, did.new_run);
      else draw();
    }, 400); // it goes on meanwhile
    return "";
  } catch (e) {
    return e.message;
  }
}

const draw = () => Promise.all([drawList(), drawRun()]);

addEventListener("hashchange", draw);
$("refresh").addEventListener("click", draw);
await draw();
