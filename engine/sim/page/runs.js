// runs.js shows the time line of a run, as the engine tells it, in the inspector.

import { h } from "./dom.js";
import { story } from "./timeline.js";

const told = new WeakMap(); // what the engine said, by the trace of a run; a new trace asks anew
const draft = new Map(); // what is typed, by run

// timeline is the place of a run's time line; it fills itself.
export function timeline(r) {
  const box = h("div.timeline", { "data-testid": "timeline" });
  const draw = (run) => box.replaceChildren(story(h, run, { now: new Date(), draft, act: (verb, more) => act(r, verb, more, () => fill()) }));
  const fill = async () => {
    const out = await ask("/sim/runs/" + encodeURIComponent(r.id));
    if (!out.ok) return box.replaceChildren(h("p.faint", null, out.error));
    told.set(r, out.run);
    draw(out.run);
  };
  if (told.has(r)) draw(told.get(r));
  else fill();
  return box;
}

async function act(r, verb, more, then) {
  const out = await ask(`/sim/runs/${encodeURIComponent(r.id)}/${verb}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(more) });
  if (!out.ok) return out.error;
  draft.delete(r.id);
  told.delete(r);
  setTimeout(then, 300); // it goes on; the trace of its end draws it again
  return "";
}

async function ask(path, o) {
  try {
    return await (await fetch(path, o)).json();
  } catch (e) {
    return { ok: false, error: "the local Slack does not answer (" + e.message + ")" };
  }
}
