// elements.js renders the interactive elements of Block Kit. Each element's
// root carries data-block and data-action, and a function read() that gives
// what a person chose, or undefined.

import { ask, h, link } from "./dom.js";
import { plain } from "./mrkdwn.js";
import { act, people, state, title } from "./store.js";

// values reads every input within a root, by block_id and action_id.
export function values(root) {
  const out = {};
  for (const el of root.querySelectorAll("[data-action]")) {
    const v = el.read?.();
    if (v !== undefined) (out[el.dataset.block] ||= {})[el.dataset.action] = v;
  }
  return out;
}

// element renders one element. ctx: {where: {channel, ts} or {view_id},
// root(): the node whose inputs belong together, values: state.values}.
export function element(el, block, ctx) {
  const make = makers[el.type] || unknown;
  const st = ctx.values?.[block.block_id]?.[el.action_id];
  const node = make(el, { ...ctx, block, st, send: (value) => send(el, block, ctx, value) });
  node.dataset.block = block.block_id;
  node.dataset.action = el.action_id;
  node.dataset.testid = "action-" + el.action_id;
  return node;
}

async function send(el, block, ctx, value) {
  if (el.confirm) {
    const c = el.confirm;
    const yes = await ask({ title: c.title?.text, text: c.text?.text, confirm: c.confirm?.text, deny: c.deny?.text, danger: c.style === "danger" });
    if (!yes) return;
  }
  await act("click", { ...ctx.where, block_id: block.block_id, action_id: el.action_id, value, values: values(ctx.root()) });
}

// dispatch reports whether a change is told at once: always outside input
// blocks, within them only if they ask for it.
const dispatch = (ctx) => ctx.block.type !== "input" || ctx.block.dispatch_action === true;

const makers = {
  button(el, ctx) {
    const style = el.style === "primary" ? "button.primary" : el.style === "danger" ? "button.danger" : "button";
    const b = h(style, { type: "button", "aria-label": el.accessibility_label }, plain(el.text?.text));
    b.addEventListener("click", async () => {
      if (b.getAttribute("aria-busy")) return;
      b.setAttribute("aria-busy", "true");
      await ctx.send(undefined);
      b.removeAttribute("aria-busy");
    });
    if (!el.url) return b;
    return h("span.linked", null, b, link(el.url, " ↗"));
  },
  static_select: (el, ctx) => choose(el, ctx, groups(el)),
  users_select: (el, ctx) => choose(el, ctx, [["", people().map((u) => [u.id, "@" + u.name])]]),
  channels_select: (el, ctx) => choose(el, ctx, [["", channels(false)]]),
  conversations_select: (el, ctx) => choose(el, ctx, [["", channels(true)]]),
  multi_static_select: (el, ctx) => chooseMany(el, ctx, groups(el).flatMap(([, o]) => o)),
  multi_users_select: (el, ctx) => chooseMany(el, ctx, people().map((u) => [u.id, "@" + u.name])),
  multi_channels_select: (el, ctx) => chooseMany(el, ctx, channels(false)),
  multi_conversations_select: (el, ctx) => chooseMany(el, ctx, channels(true)),
  external_select: (el, ctx) => search(el, ctx, false),
  multi_external_select: (el, ctx) => search(el, ctx, true),
  overflow(el, ctx) {
    const s = h("select.overflow", { "aria-label": "More actions" }, h("option", { value: "" }, "⋯"),
      (el.options || []).map((o) => h("option", { value: o.value }, o.text?.text)));
    s.addEventListener("change", () => {
      const v = s.value;
      s.value = "";
      if (v) ctx.send(v);
    });
    return s;
  },
  radio_buttons: (el, ctx) => boxes(el, ctx, "radio"),
  checkboxes: (el, ctx) => boxes(el, ctx, "checkbox"),
  datepicker: (el, ctx) => input(el, ctx, { type: "date" }, ctx.st?.selected_date ?? el.initial_date),
  timepicker: (el, ctx) => input(el, ctx, { type: "time" }, ctx.st?.selected_time ?? el.initial_time),
  datetimepicker(el, ctx) {
    const at = ctx.st?.selected_date_time ?? el.initial_date_time;
    const d = at ? new Date((at - new Date().getTimezoneOffset() * 60) * 1000).toISOString().slice(0, 16) : "";
    const n = input(el, ctx, { type: "datetime-local" }, d, (v) => String(Math.floor(new Date(v).getTime() / 1000)));
    return n;
  },
  plain_text_input(el, ctx) {
    if (!el.multiline) return typed(el, ctx, { type: "text" });
    const t = h("textarea", { rows: 4, placeholder: el.placeholder?.text, "aria-label": label(el, ctx), value: ctx.st?.value ?? el.initial_value ?? "" });
    t.read = () => t.value;
    return t;
  },
  rich_text_input: (el, ctx) => makers.plain_text_input({ ...el, multiline: true, initial_value: "" }, { ...ctx, st: undefined }),
  email_text_input: (el, ctx) => typed(el, ctx, { type: "email" }),
  url_text_input: (el, ctx) => typed(el, ctx, { type: "url" }),
  number_input: (el, ctx) => typed(el, ctx, { type: "text", inputmode: "decimal" }),
};

function unknown(el) {
  return h("span.unsupported", { title: JSON.stringify(el) }, "unsupported element: " + el.type);
}

const label = (el, ctx) => ctx.block.label?.text || el.placeholder?.text || el.action_id;
const groups = (el) =>
  el.option_groups ? el.option_groups.map((g) => [g.label?.text || "", pairs(g.options)]) : [["", pairs(el.options)]];
const pairs = (options = []) => options.map((o) => [o.value, o.text?.text || o.value]);
const channels = (ims) => state.channels.filter((c) => c.members.includes(state.me) && (ims || !c.is_im)).map((c) => [c.id, title(c)]);

function chosen(el, st) {
  const v = st || {};
  return v.selected_option?.value ?? v.selected_user ?? v.selected_channel ?? v.selected_conversation ??
    el.initial_option?.value ?? el.initial_user ?? el.initial_channel ?? el.initial_conversation ?? "";
}

function chosenMany(el, st) {
  const v = st || {};
  const list = v.selected_options ?? v.selected_users ?? v.selected_channels ?? v.selected_conversations ??
    el.initial_options ?? el.initial_users ?? el.initial_channels ?? el.initial_conversations ?? [];
  return list.map((x) => (typeof x === "string" ? x : x.value));
}

function choose(el, ctx, all) {
  const was = chosen(el, ctx.st);
  const option = ([v, t]) => h("option", { value: v, selected: v === was }, t);
  const s = h("select", { "aria-label": label(el, ctx) }, h("option", { value: "" }, el.placeholder?.text || "Choose an option"),
    all.map(([name, opts]) => (name ? h("optgroup", { label: name }, opts.map(option)) : opts.map(option))));
  s.read = () => s.value || undefined;
  s.addEventListener("change", () => s.value && dispatch(ctx) && ctx.send(s.value));
  return s;
}

function chooseMany(el, ctx, all) {
  const was = chosenMany(el, ctx.st);
  const sum = h("summary");
  const rows = all.map(([v, t]) => h("label", null, h("input", { type: "checkbox", value: v, checked: was.includes(v) }), " ", t));
  const d = h("details.many", null, sum, h("div.menu", null, rows));
  const picked = () => [...d.querySelectorAll("input:checked")];
  const show = () => sum.replaceChildren(picked().map((i) => i.parentNode.textContent.trim()).join(", ") || el.placeholder?.text || "Choose options");
  d.addEventListener("change", () => {
    show();
    if (dispatch(ctx)) ctx.send(d.read());
  });
  d.read = () => picked().map((i) => i.value);
  show();
  return d;
}

// search is an external select: the app gives the options for what is typed.
function search(el, ctx, many) {
  let picked = many ? (ctx.st?.selected_options ?? el.initial_options ?? []) : [ctx.st?.selected_option ?? el.initial_option].filter(Boolean);
  const chips = h("span.chips");
  const list = h("div.menu", { role: "listbox", hidden: true });
  const box = h("input", { type: "text", autocomplete: "off", placeholder: el.placeholder?.text || "Search", "aria-label": label(el, ctx) });
  const root = h("div.search", null, chips, box, list);
  const show = () => {
    if (!many) { box.value = picked[0]?.text?.text || box.value; return; }
    chips.replaceChildren(...picked.map((o) => h("button.chip", { type: "button", onclick: () => { picked = picked.filter((x) => x !== o); show(); } }, o.text?.text, " ×")));
  };
  const pick = (o) => {
    picked = many ? [...picked.filter((x) => x.value !== o.value), o] : [o];
    list.hidden = true;
    if (many) box.value = "";
    show();
    if (dispatch(ctx)) ctx.send(root.read());
  };
  let last = 0;
  const look = async () => {
    const n = ++last;
    if (box.value.length < (el.min_query_length ?? 3)) { list.hidden = true; return; }
    const out = await act("suggest", { ...ctx.where, block_id: ctx.block.block_id, action_id: el.action_id, value: box.value });
    if (n !== last || !out.ok) return; // a later key has asked again
    const row = (o) => h("button.option", { type: "button", role: "option", onclick: () => pick(o) }, o.text?.text);
    list.replaceChildren(...(out.option_groups || [{ options: out.options || [] }]).flatMap((g) =>
      [g.label ? h("div.group", null, g.label.text) : "", ...(g.options || []).map(row)]));
    if (!list.querySelector("button")) list.replaceChildren(h("div.faint", null, "No matches"));
    list.hidden = false;
  };
  let timer;
  box.addEventListener("input", () => {
    if (!many) picked = [];
    clearTimeout(timer);
    timer = setTimeout(look, 200);
  });
  if ((el.min_query_length ?? 3) === 0) box.addEventListener("focus", look);
  root.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown") { (document.activeElement === box ? list.querySelector("button") : document.activeElement.nextElementSibling)?.focus(); e.preventDefault(); }
    if (e.key === "ArrowUp") { (document.activeElement.previousElementSibling || box).focus(); e.preventDefault(); }
    if (e.key === "Escape" && !list.hidden) { list.hidden = true; box.focus(); e.stopPropagation(); e.preventDefault(); }
  });
  root.read = () => (many ? picked.map((o) => o.value) : picked[0]?.value);
  show();
  return root;
}

let boxGroup = 0;
function boxes(el, ctx, type) {
  const was = type === "radio" ? [chosen(el, ctx.st)] : chosenMany(el, ctx.st);
  const name = "group" + ++boxGroup;
  const f = h("fieldset.boxes", { "aria-label": label(el, ctx) }, (el.options || []).map((o) =>
    h("label", null, h("input", { type, name, value: o.value, checked: was.includes(o.value) }), " ", plain(o.text?.text),
      o.description ? h("div.faint", null, o.description.text) : "")));
  f.read = () => {
    const on = [...f.querySelectorAll("input:checked")].map((i) => i.value);
    return type === "radio" ? on[0] : on;
  };
  f.addEventListener("change", () => dispatch(ctx) && ctx.send(f.read()));
  return f;
}

function input(el, ctx, props, value, convert = (v) => v) {
  const i = h("input", { ...props, value: value ?? "", "aria-label": label(el, ctx) });
  i.read = () => (i.value ? convert(i.value) : undefined);
  i.addEventListener("change", () => i.value && dispatch(ctx) && ctx.send(convert(i.value)));
  return i;
}

// typed is a one-line input; with dispatch_action, Enter tells the app.
function typed(el, ctx, props) {
  const i = h("input", { ...props, value: ctx.st?.value ?? el.initial_value ?? "", placeholder: el.placeholder?.text, "aria-label": label(el, ctx) });
  i.read = () => i.value;
  i.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && ctx.block.dispatch_action) {
      e.preventDefault();
      ctx.send(i.value);
    }
  });
  return i;
}
