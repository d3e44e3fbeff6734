// timeline.js draws the time line of a run: what it did, waited for and was
// told. The page of the local Slack and the one of the admin port share it. It
// is given h, which makes elements of text: nothing here becomes HTML.

// story draws a run as GET /runs/ID tells of it. o.act(verb, more) does
// something to the run and resolves when it is done; o.draft keeps what is typed
// while the page is drawn anew; o.now is the time.
export function story(h, run, o) {
  return h("div.story", { "data-testid": "story", "data-outcome": run.outcome },
    run.wait ? waits(h, run.wait, o) : "",
    run.old ? h("p.story-old", { "data-testid": "story-old" }, run.in_force ? "Waits on an older version than the one in force (" + short(run.in_force) + ")." : "The rule is gone, or its file.") : "",
    h("ol.moments", null, (run.timeline || []).filter(shown).map((m) => moment(h, m))),
    actions(h, run, o));
}

// shown leaves out the first passes, which go without saying.
const shown = (m) => m.what !== "pass" || m.text || (m.pass > 1 && m.replayed > 0);

function waits(h, w, o) {
  return h("div.story-wait", { "data-testid": "story-wait" },
    h("div", null, h("strong", null, "Waits: " + w.kind), w.title ? " “" + w.title + "”" : ""),
    h("div.faint", null, "for " + span(o.now - new Date(w.since)) + " now, " +
      (w.until ? "until " + stamp(w.until) + (new Date(w.until) > o.now ? " (" + span(new Date(w.until) - o.now) + " to go)" : " (due)") : "without an end")),
    (w.wakes || []).length ? h("ul.wakes", null, w.wakes.map((t) => h("li", { "data-testid": "wake" }, t))) : "");
}

function moment(h, m) {
  const head = [
    h("time.faint", { title: m.at || "" }, m.at ? clock(m.at) : ""),
    h("span.step", null, "step" in m ? String(m.step) : ""),
    h("span.told", null, ...told(h, m), m.pos ? h("span.faint.pos", null, " " + m.pos) : ""),
  ];
  const more = [data(h, "request", m.request), data(h, "answer", m.answer), data(h, "facts", m.attrs)].filter(Boolean);
  return h("li.moment." + word(m.what) + (m.error ? ".bad" : ""), { "data-testid": "moment", "data-what": m.what },
    more.length ? h("details", null, h("summary", null, head), more) : h("div.row", null, head));
}

// told is a moment in words.
function told(h, m) {
  const name = (t) => h("code", null, t);
  switch (m.what) {
    case "event": return ["event ", name(m.kind || ""), " is stored"];
    case "pass": return [h("span.faint", null, m.text || `pass ${m.pass}: ${m.replayed} results replayed, ${m.steps || 0} steps, ${millis(m.ms)}`)];
    case "log": return [h("span.level", null, (m.level || "").toLowerCase()), " ", m.text || ""];
    case "effect": return [name(m.kind), " ", m.error ? h("strong", null, m.error) : m.state + (m.ms ? " in " + millis(m.ms) : "")];
    case "wait": return [name(m.kind), m.state === "waiting" ? " waits" : " waited " + span(m.ms || 0), m.wait?.title ? " for “" + m.wait.title + "”" : ""];
    case "answer": return [h("strong", null, { event: "answered", timeout: "the time was over", operator: "answered by an operator", cancel: "cancelled" }[m.by] || "answered"), m.user ? " by " + m.user : "", m.text ? ", " + m.text : ""];
    case "end": return [h("strong", null, m.state), m.error || m.text ? ": " + (m.error || m.text) : ""];
  }
  return [m.text || m.what];
}

// actions are what can be done to the run as it is.
function actions(h, run, o) {
  if (!o.act) return "";
  const say = h("span.story-said", { role: "status", "data-testid": "story-said" });
  const button = (verb, label, more) => h("button", { type: "button", "data-testid": "run-" + verb, onclick: async (e) => {
    e.target.disabled = true;
    say.textContent = "";
    const bad = await o.act(verb, more ? more() : {});
    if (bad) say.textContent = bad;
    e.target.disabled = false;
  } }, label);
  if (run.wait) {
    const answer = h("input", { "aria-label": "Answer: JSON or a text", placeholder: "answer: JSON or a text", "data-testid": "run-answer",
      value: o.draft?.get(run.run) || "", oninput: (e) => o.draft?.set(run.run, e.target.value) });
    return h("div.story-acts", null, answer, button("continue", "Continue", () => (answer.value === "" ? {} : { answer: json(answer.value) })), button("cancel", "Cancel"), button("restart", "Restart"), say);
  }
  if (run.outcome === "waiting") return ""; // under way
  const step = h("input", { type: "number", min: 1, "aria-label": "Retry from step", placeholder: "step", "data-testid": "run-step" });
  return h("div.story-acts", null, step, button("retry", "Retry", () => (step.value ? { step: Number(step.value) } : {})), button("restart", "Restart"), say);
}

// json takes a text that is no JSON for itself.
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function data(h, name, v) {
  if (v === undefined || v === null) return "";
  return h("div.json", null, h("div.faint", null, name), h("pre", { tabindex: "0" }, typeof v === "string" ? v : JSON.stringify(v, null, 2)));
}

const word = (s) => String(s).replace(/\W/g, "");
export const short = (version) => String(version || "").slice(0, 12);
const pad = (n) => String(n).padStart(2, "0");

function clock(t) {
  const d = new Date(t);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export function stamp(t) {
  const d = new Date(t);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(t)}`;
}

// span writes a time that people wait: its two largest units.
export function span(ms) {
  const s = Math.floor(Math.max(ms, 0) / 1000);
  if (s >= 86400) return `${Math.floor(s / 86400)}d${pad(Math.floor((s % 86400) / 3600))}h`;
  if (s >= 3600) return `${Math.floor(s / 3600)}h${pad(Math.floor((s % 3600) / 60))}m`;
  if (s >= 60) return `${Math.floor(s / 60)}m${pad(s % 60)}s`;
  return `${s}s`;
}

function millis(ms) {
  if (!ms) return "0 ms";
  return ms < 10 ? Math.round(ms * 10) / 10 + " ms" : ms < 10000 ? Math.round(ms) + " ms" : span(ms);
}
