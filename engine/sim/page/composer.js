// composer.js is the box where people type, with completion of commands,
// people, channels and emoji.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { act, state } from "./store.js";

// composer makes one; where() gives {channel, thread_ts}. Its node keeps what
// is typed, so make it once per place.
export function composer({ where, placeholder, testid, commands = true, onUp }) {
  const menu = h("div.complete", { role: "listbox", hidden: true, "data-testid": "complete" });
  const box = h("textarea", { rows: 1, placeholder, "aria-label": placeholder, "data-testid": testid + "-input" });
  const send = h("button.primary", { type: "submit", "aria-label": "Send", "data-testid": testid + "-send" }, "Send");
  const form = h("form.composer", null, menu, h("div.field", null, box, send));
  let items = [];
  let active = 0;
  let sent = false; // by the key that is down

  const hide = () => {
    menu.hidden = true;
    items = [];
  };
  const size = () => {
    box.style.setProperty("height", "auto");
    box.style.setProperty("height", Math.min(box.scrollHeight, 200) + "px");
  };
  const paint = () => {
    menu.hidden = items.length === 0;
    menu.replaceChildren(...items.map((it, i) => h("button.option" + (i === active ? ".active" : ""), {
      type: "button", role: "option", "aria-selected": String(i === active), tabindex: "-1",
      onpointerdown: (e) => {
        e.preventDefault();
        take(i);
      },
    }, h("strong", null, it.show), it.usage ? " " + it.usage : "", it.help ? h("span.faint", null, " " + it.help) : "")));
    menu.children[active]?.scrollIntoView({ block: "nearest" });
  };
  const take = (i) => {
    const word = wordAt(box);
    const it = items[i];
    box.setRangeText(it.insert + " ", word.start, word.end, "end");
    hide();
    size();
  };

  box.addEventListener("input", () => {
    size();
    items = suggestions(wordAt(box), commands);
    active = 0;
    paint();
  });
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", (e) => {
    sent = false;
    if (items.length) {
      const exact = items[active].insert === wordAt(box).text;
      if (e.key === "ArrowDown" || e.key === "ArrowUp") {
        active = (active + (e.key === "ArrowDown" ? 1 : items.length - 1)) % items.length;
        paint();
        return e.preventDefault();
      }
      if (e.key === "Tab" || (e.key === "Enter" && !exact)) {
        take(active);
        return e.preventDefault();
      }
      if (e.key === "Escape") {
        hide();
        e.stopPropagation();
        return e.preventDefault();
      }
    }
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      sent = true;
      form.requestSubmit();
    } else if (e.key === "ArrowUp" && box.value === "") {
      onUp?.();
    }
  });
  // Input methods and test drivers may still deliver the line break itself.
  box.addEventListener("beforeinput", (e) => {
    if (sent && e.inputType === "insertLineBreak") e.preventDefault();
  });
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const text = box.value;
    if (!text.trim()) return;
    box.value = "";
    hide();
    size();
    const out = await act("message", { ...where(), text });
    if (!out.ok && !box.value) box.value = text; // nothing typed is lost
    size();
  });
  form.focusBox = () => box.focus();
  return form;
}

function wordAt(box) {
  const end = box.selectionEnd;
  const start = box.value.slice(0, end).search(/\S*$/);
  return { start, end, text: box.value.slice(start, end) };
}

function suggestions({ start, text }, commands) {
  const rest = text.slice(1).toLowerCase();
  const by = (name) => name.toLowerCase().startsWith(rest);
  switch (text[0]) {
    case "/":
      if (start !== 0 || !commands) return [];
      return (state.catalog.commands || []).filter((c) => by(c.name.slice(1)))
        .map((c) => ({ insert: c.name, show: c.name, usage: c.usage, help: c.help })).slice(0, 12);
    case "@":
      return [...state.users.filter((u) => u.id !== "USLACKBOT").map((u) => [u.name, u.real_name]), ...state.groups.map((g) => [g.handle, g.name]),
        ["here", "people who are online"], ["channel", "everyone in this channel"]]
        .filter(([n]) => by(n)).map(([n, help]) => ({ insert: "@" + n, show: "@" + n, help })).slice(0, 10);
    case "#":
      return state.channels.filter((c) => !c.is_im && !c.is_mpim && by(c.name)).map((c) => ({ insert: "#" + c.name, show: "#" + c.name, help: c.topic }));
    case ":":
      if (rest.length < 2) return [];
      return [...emoji.keys()].filter(by).map((n) => ({ insert: ":" + n + ":", show: emoji.get(n), help: ":" + n + ":" })).slice(0, 8);
  }
  return [];
}
