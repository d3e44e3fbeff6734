// settings.js moves the workspace's clock, ends connections of Socket Mode and
// switches events on again: what Slack does by itself, when one asks for it.

import { h } from "./dom.js";
import { notify, state } from "./store.js";

const steps = [["1m", "+1 min"], ["5m", "+5 min"], ["30m", "+30 min"], ["1h", "+1 h"], ["24h", "+1 day"]];
const reasons = ["warning", "refresh_requested", "too_many_websockets", "link_disabled", "drop"];

// settings draws the switches above the faults.
export function settings() {
  const c = state.clock || {};
  const ahead = Math.round((c.ahead_ns || 0) / 1e9);
  const custom = h("input", { name: "advance", placeholder: "90s, 1h30m", "aria-label": "Move the clock ahead by", "data-testid": "clock-advance" });
  const rate = h("select", { "aria-label": "Pace of the clock", "data-testid": "clock-rate", onchange: (e) => post("clock", { rate: Number(e.target.value) }) },
    [1, 10, 60, 600].map((n) => h("option", { value: n, selected: n === c.rate }, n === 1 ? "its own pace" : n + " times as fast")));
  const reason = h("select", { "aria-label": "Reason", "data-testid": "disconnect-reason" }, reasons.map((r) => h("option", { value: r }, r)));
  return h("section.faults", { "data-testid": "settings" },
    h("form.fault", { onsubmit: (e) => {
      e.preventDefault();
      if (custom.value.trim()) post("clock", { advance: custom.value.trim() });
    } },
    h("span", null, "Clock"),
    h("span.faint", { "data-testid": "clock" }, ahead > 0 ? lasting(ahead) + " ahead of this machine" : "as this machine's"),
    h("div.switches", null, steps.map(([d, text]) => h("button", { type: "button", "data-testid": "clock-" + d, onclick: () => post("clock", { advance: d }) }, text))),
    h("div.switches", null, custom, h("button", { type: "submit" }, "Move"), rate),
    h("span.faint", null, "Retries, trigger_ids, response URLs and what rules wait for go by it.")),
    h("div.fault", null,
      h("span", null, "Connections of Socket Mode"),
      h("div.switches", null, reason, h("button", { type: "button", "data-testid": "disconnect", onclick: async () => {
        const out = await post("disconnect", { reason: reason.value });
        if (out.ok) notify(out.connections + " connections were told: " + reason.value);
      } }, "Disconnect"))),
    state.subscription && !state.subscription.on ? h("div.fault", { role: "alert", "data-testid": "subscription" },
      h("span", null, "Events are switched off"),
      h("span.faint", null, `${state.subscription.failed} of ${state.subscription.tried} deliveries of the last hour failed.`),
      h("div.switches", null, h("button", { type: "button", onclick: () => post("resubscribe", {}) }, "Switch on again"))) : "");
}

// lasting is a number of seconds in words.
function lasting(s) {
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  return parts.filter(([n]) => n).map(([n, unit]) => n + " " + unit).join(" ");
}

async function post(name, body) {
  let out;
  try {
    const res = await fetch("/sim/" + name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    out = await res.json();
  } catch (e) {
    out = { ok: false, error: "the local Slack does not answer (" + e.message + ")" };
  }
  if (!out.ok) notify(out.error);
  return out;
}
