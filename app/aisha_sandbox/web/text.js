// Text with entities as elements. Offsets are UTF-16 code units, as JavaScript's own.

import { h } from "./dom.js";

const TAGS = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", blockquote: "blockquote", expandable_blockquote: "blockquote" };

export function rich(text, entities = [], act = () => {}) {
  return between(text, 0, text.length, [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length), act);
}

function between(text, start, end, entities, act) {
  const parts = [];
  let position = start;
  let index = 0;
  while (index < entities.length) {
    const entity = entities[index];
    const stop = Math.min(entity.offset + entity.length, end);
    const inner = [];
    index += 1;
    while (index < entities.length && entities[index].offset < stop) inner.push(entities[index++]);
    if (entity.offset > position) parts.push(text.slice(position, entity.offset));
    parts.push(wrapped(entity, text.slice(entity.offset, stop), between(text, Math.max(entity.offset, position), stop, inner, act), act));
    position = stop;
  }
  if (position < end) parts.push(text.slice(position, end));
  return parts;
}

function wrapped(entity, plain, children, act) {
  const { type } = entity;
  if (type === "url") return link(/^[a-z]+:\/\//i.test(plain) ? plain : `http://${plain}`, children);
  if (type === "text_link") return link(entity.url, children);
  if (type === "email") return link(`mailto:${plain}`, children);
  if (type === "pre") return block(entity, children);
  if (type === "spoiler") return spoiler(children);
  if (type === "bot_command") return h("button", { class: "link", type: "button", onclick: () => act(plain) }, children);
  if (type === "code") return h("code", { onclick: () => navigator.clipboard?.writeText(plain) }, children);
  if (["mention", "hashtag", "cashtag", "text_mention", "phone_number"].includes(type)) return h("span", { class: "link" }, children);
  const tag = TAGS[type] ?? "span";
  const expandable = type === "expandable_blockquote";
  return h(tag, expandable ? { class: "expandable", onclick: (event) => event.currentTarget.classList.toggle("open") } : {}, children);
}

function link(url, children) {
  const safe = /^(https?|mailto|tel|tg):/i.test(url) ? url : "#";
  return h("a", { href: safe, target: "_blank", rel: "noopener noreferrer" }, children);
}

function block(entity, children) {
  return h("pre", {}, entity.language ? h("span", { class: "lang" }, entity.language) : null, h("code", {}, children));
}

function spoiler(children) {
  const reveal = (event) => event.currentTarget.classList.add("open");
  return h("span", { class: "spoiler", role: "button", tabindex: "0", onclick: reveal, onkeydown: reveal }, children);
}
