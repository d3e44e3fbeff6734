// dom.js builds elements. Text only ever becomes text nodes: nothing in this
// page turns a string into HTML.

// h makes an element: h("button.quiet", {onclick, "aria-label": "x"}, "text", node).
export function h(spec, props, ...children) {
  const [tag, ...classes] = spec.split(".");
  const el = document.createElement(tag || "div");
  if (classes.length) el.className = classes.join(" ");
  for (const [k, v] of Object.entries(props || {})) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) el.addEventListener(k.slice(2), v);
    else if (k === "value" || k === "checked" || k === "selected" || k === "disabled") el[k] = v;
    else el.setAttribute(k, v === true ? "" : String(v));
  }
  el.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

// safeURL returns the address if a link may lead there, else "".
export function safeURL(raw) {
  try {
    const u = new URL(raw);
    return ["http:", "https:", "mailto:"].includes(u.protocol) ? u.href : "";
  } catch {
    return "";
  }
}

// link makes a link that tells its target nothing, or plain text if the
// address is refused.
export function link(url, ...label) {
  const href = safeURL(url);
  if (!href) return h("span", null, ...label);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...label);
}

// decode undoes Slack's three escapes.
export function decode(s) {
  return s.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

// when shows a Slack ts or a date as a time of day.
export function when(t) {
  const d = typeof t === "string" && /^\d+\.\d+$/.test(t) ? new Date(parseFloat(t) * 1000) : new Date(t);
  return d.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

// ask shows Slack's confirmation dialog and resolves to the answer.
export function ask({ title, text, confirm = "Yes", deny = "No", danger = false }) {
  return new Promise((resolve) => {
    const d = h("dialog.confirm", { "data-testid": "confirm" },
      h("h2", null, title), h("p", null, text),
      h("div.buttons", null,
        h("button", { type: "button", onclick: () => d.close("no") }, deny),
        h(danger ? "button.danger" : "button.primary", { type: "button", "data-testid": "confirm-yes", onclick: () => d.close("yes") }, confirm)));
    d.addEventListener("close", () => {
      d.remove();
      resolve(d.returnValue === "yes");
    });
    document.body.append(d);
    d.showModal();
  });
}
