// rules.js shows the rules, those that are switched off and what is wrong with
// their files; and the texts that are written for an event: a rule, a test.

import { h } from "./dom.js";
import { notify, state } from "./store.js";

export const troubled = () => (state.rules.problems || []).length > 0 || (state.rules.rules || []).some((r) => r.off);

export function rules() {
  const all = state.rules.rules || [];
  const problems = state.rules.problems || [];
  return [
    ...problems.map((p) => h("pre.problem." + (p.level === "error" ? "error" : "warning"), { role: p.level === "error" ? "alert" : "note", "data-testid": "problem" }, p.text)),
    all.length ? "" : h("p.empty", null, "No rule is live."),
    ...all.map((r) => h("div.rule" + (r.off ? ".off" : ""), { "data-testid": "rule" },
      h("code", null, r.id), h("span.faint", null, r.on + " · " + r.at), r.off ? h("p", { "data-testid": "rule-off" }, "Switched off: " + r.off) : "")),
  ];
}

const written = new Map(); // files by the address that gave them; they stay when the list is drawn again

// files offers to write a test for an event, or the rule that is missing.
export function files(id, unmatched) {
  const box = h("div.files");
  const draw = () => box.replaceChildren(
    h("div.buttons", null,
      unmatched ? button("rule", "Write a rule") : "",
      button("test", "Save as test")),
    ...["rule", "test"].flatMap((kind) => (written.get(kind + id) || []).map(file)));
  const button = (kind, name) => h("button", { type: "button", "data-testid": "write-" + kind, onclick: async () => {
    const out = await (await fetch("/sim/" + kind + "/" + encodeURIComponent(id))).json();
    if (!out.ok) return notify(out.error);
    written.set(kind + id, out.files);
    draw();
  } }, name);
  draw();
  return box;
}

function file(f) {
  const blob = () => URL.createObjectURL(new Blob([f.text], { type: "text/plain" }));
  return h("div.json", { "data-testid": "file" },
    h("div.file-head", null, h("code", null, f.name),
      h("button", { type: "button", onclick: () => navigator.clipboard.writeText(f.text).catch((e) => notify("not copied: " + e.message)) }, "Copy"),
      h("button", { type: "button", onclick: () => {
        const a = h("a", { href: blob(), download: f.name });
        a.click();
        setTimeout(() => URL.revokeObjectURL(a.href), 1000);
      } }, "Download")),
    h("pre", { tabindex: "0" }, f.text));
}
