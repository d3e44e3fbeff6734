// modal.js shows the stack of modals of the person who acts.

import { h } from "./dom.js";
import { blocks } from "./blocks.js";
import { values } from "./elements.js";
import { plain } from "./mrkdwn.js";
import { act, state } from "./store.js";

let dialog = null;
let shown = null;
let pending = false;

// renderModals shows the top of the stack, or nothing.
export function renderModals(into) {
  const stack = state.modals[state.me] || [];
  const view = stack.at(-1);
  if (view === shown) return;
  // What is typed but not yet sent survives an update of the same view.
  const typed = dialog && shown && view && shown.id === view.id ? values(dialog) : null;
  shown = view || null;
  pending = false;
  dialog?.remove();
  dialog = null;
  if (!view) return;
  dialog = modal(view, stack.length, view.errors || {}, typed);
  into.append(dialog);
  dialog.showModal();
  (dialog.querySelector("[aria-invalid] , .modal-body input, .modal-body textarea, .modal-body select") || dialog.querySelector("button"))?.focus();
}

function modal(view, depth, errors, typed) {
  const b = view.body;
  const close = (all) => act("close", { view_id: view.id, all });
  const body = h("div.modal-body");
  body.append(
    errors[""] ? h("div.error", { role: "alert", "data-testid": "modal-error" }, errors[""]) : "",
    ...blocks(view.blocks, { where: { view_id: view.id }, root: () => body, values: view.values, errors }));
  if (typed) restore(body, typed);
  const form = h("form.modal-form", { novalidate: true, onsubmit: (e) => {
    e.preventDefault();
    submit(view, depth, body);
  } },
  h("header", null, h("h2", { "data-testid": "modal-title" }, plain(b.title?.text)),
    depth > 1 ? h("span.badge", { title: "views in the stack" }, depth + " of 3") : "",
    h("button.quiet", { type: "button", "aria-label": "Close all", "data-testid": "modal-x", onclick: () => close(true) }, "✕")),
  body,
  h("footer", null,
    h("button", { type: "button", "data-testid": "modal-close", onclick: () => close(false) }, b.close ? plain(b.close.text) : depth > 1 ? "Back" : "Cancel"),
    b.submit ? h("button.primary", { type: "submit", "data-testid": "modal-submit" }, plain(b.submit.text)) : ""));
  return h("dialog.modal", { "data-testid": "modal", oncancel: (e) => {
    e.preventDefault();
    close(false);
  } }, form);
}

async function submit(view, depth, body) {
  if (pending) return;
  pending = true;
  const button = dialog.querySelector("[data-testid=modal-submit]");
  button?.setAttribute("aria-busy", "true");
  const typed = values(body);
  const out = await act("submit", { view_id: view.id, values: typed });
  pending = false;
  button?.removeAttribute("aria-busy");
  if (shown?.id !== view.id || !out.errors || !Object.keys(out.errors).length) return;
  // The page's own checks are not in the state: show them on this copy.
  const parent = dialog.parentNode;
  dialog.remove();
  dialog = modal(view, depth, out.errors, typed);
  parent.append(dialog);
  dialog.showModal();
  dialog.querySelector("[aria-invalid]")?.focus();
}

// restore puts simple typed values back.
function restore(body, typed) {
  for (const el of body.querySelectorAll("[data-action]")) {
    const v = typed[el.dataset.block]?.[el.dataset.action];
    if (v === undefined) continue;
    if (el.matches("input, textarea, select")) {
      if (el.type !== "datetime-local") el.value = v;
    } else {
      for (const i of el.querySelectorAll("input[type=checkbox], input[type=radio]")) i.checked = [v].flat().includes(i.value);
      el.dispatchEvent(new Event("restore"));
    }
  }
}
