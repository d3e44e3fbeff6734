// blocks.js renders Block Kit: the blocks of messages, modals and App Homes.

import { h, link } from "./dom.js";
import { element } from "./elements.js";
import { mrkdwn, plain, richText, textObject } from "./mrkdwn.js";
import { act } from "./store.js";

// blocks renders a list; ctx is that of element() in elements.js, with errors
// by block_id for modals.
export function blocks(list, ctx) {
  return (list || []).map((b) => block(b, ctx));
}

function block(b, ctx) {
  const make = makers[b.type];
  const node = make ? make(b, ctx) : h("div.unsupported", { title: JSON.stringify(b) }, "block: " + b.type);
  node.classList.add("block", "block-" + b.type);
  node.dataset.blockId = b.block_id || "";
  return node;
}

const makers = {
  section: (b, ctx) => h("div", null,
    h("div.grow", null,
      b.text ? h("div", null, textObject(b.text)) : "",
      b.fields ? h("div.fields", null, b.fields.map((f) => h("div", null, textObject(f)))) : ""),
    b.accessory ? h("div.accessory", null, b.accessory.type === "image" ? image(b.accessory) : element(b.accessory, b, ctx)) : ""),
  header: (b) => h("h3", null, plain(b.text?.text)),
  divider: () => h("hr"),
  context: (b) => h("div", null, (b.elements || []).map((e) => (e.type === "image" ? image(e) : h("span", null, textObject(e))))),
  actions: (b, ctx) => h("div", null, (b.elements || []).map((e) => element(e, b, ctx))),
  context_actions: (b, ctx) => h("div", null, (b.elements || []).map((e) => element(e, b, ctx))),
  image: (b) => h("figure", null, b.title ? h("figcaption", null, plain(b.title.text)) : "", image(b)),
  markdown: (b) => h("div.pre", null, mrkdwn((b.text || "").replaceAll("**", "*"))),
  rich_text: (b) => h("div", null, richText(b.elements)),
  video: (b) => h("div", null, link(b.title_url || b.video_url || "", "▶ ", plain(b.title?.text))),
  input(b, ctx) {
    const error = ctx.errors?.[b.block_id];
    const el = element(b.element || {}, b, ctx);
    if (error) el.setAttribute("aria-invalid", "true");
    return h("div", null,
      h("div.label", null, plain(b.label?.text), b.optional ? h("span.faint", null, " (optional)") : ""),
      el,
      error ? h("div.error", { role: "alert", "data-testid": "error-" + b.block_id }, error) : "",
      b.hint ? h("div.faint", null, plain(b.hint.text)) : "");
  },
  table: (b) => h("div", null, h("table", null, (b.rows || []).map((r) => h("tr", null, r.map((c) => h("td", null, cell(c))))))),
};

const cell = (c) => (c.type === "rich_text" ? richText(c.elements) : String(c.text ?? ""));

// image names a picture and links to it: the page loads nothing from elsewhere.
function image(b) {
  const url = b.image_url || b.slack_file?.url || "";
  return h("span.image", { role: "img", "aria-label": b.alt_text }, link(url, "image: ", b.alt_text || url));
}

// attachment renders a legacy attachment, or the blocks within one.
export function attachment(a, ctx) {
  const node = h("div.attachment", null,
    a.pretext ? h("div", null, mrkdwn(a.pretext)) : "",
    a.author_name ? h("div.faint", null, a.author_name) : "",
    a.title ? h("strong", null, a.title_link ? link(a.title_link, a.title) : a.title) : "",
    a.blocks ? blocks(a.blocks, ctx) : "",
    a.text ? h("div", null, mrkdwn(a.text)) : !a.blocks && !a.title && a.fallback ? h("div", null, a.fallback) : "",
    a.fields ? h("div.fields", null, a.fields.map((f) => h("div", null, h("strong", null, f.title), h("div", null, mrkdwn(f.value))))) : "",
    a.image_url ? image({ image_url: a.image_url, alt_text: a.fallback }) : "",
    a.actions ? h("div.switches", null, a.actions.map((x) => legacy(x, ctx))) : "",
    a.footer ? h("div.faint", null, a.footer) : "");
  const color = { good: "#2eb67d", warning: "#ecb22e", danger: "#e01e5a" }[a.color] || (/^#?[0-9a-fA-F]{6}$/.test(a.color || "") ? "#" + a.color.replace("#", "") : "");
  if (color) node.style.setProperty("border-left-color", color);
  return node;
}

// legacy is a button or menu of an attachment, from before Block Kit.
function legacy(x, ctx) {
  const use = (value) => act("click", { ...ctx.where, action_id: x.name, value });
  if (x.type !== "select") {
    return h("button" + ({ primary: ".primary", danger: ".danger" }[x.style] || ""), { type: "button", "data-testid": "action-" + x.name, onclick: () => use(x.value) }, x.text);
  }
  const options = x.options || (x.option_groups || []).flatMap((g) => g.options || []);
  return h("select", { "aria-label": x.text || x.name, "data-testid": "action-" + x.name, onchange: (e) => e.target.value && use(e.target.value) },
    h("option", { value: "" }, x.text || "Choose"), options.map((o) => h("option", { value: o.value }, o.text)));
}
