// One message as a bubble, a service line, or an album's part.

import { avatar, h, icon } from "./dom.js";
import { locale, t } from "./i18n.js";
import { mediaOf } from "./media.js";
import { rich } from "./text.js";

const players = new Map();

export function nameOf(user) {
  return [user.first_name, user.last_name].filter(Boolean).join(" ");
}

export function summary(message) {
  if (message.text) return message.text;
  const kind = ["voice", "audio", "video_note", "video", "photo", "document"].find((name) => message[name]);
  if (kind) return message.caption || (kind === "document" || kind === "audio" ? message[kind].title ?? message[kind].file_name : null) || t[kind];
  if (message.new_chat_members) return t.joined(message.new_chat_members.map(nameOf).join(", "));
  return "";
}

export function hour(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
}

export function day(seconds) {
  const date = new Date(seconds * 1000);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 864e5);
  if (days === 0) return t.today;
  return days === 1 ? t.yesterday : date.toLocaleDateString(locale, { day: "numeric", month: "long", year: days > 300 ? "numeric" : undefined });
}

export function bubble(view, { me, group, act }) {
  const { message } = view;
  if (message.new_chat_members) return h("div", { class: "service", "data-id": message.message_id }, h("span", {}, summary(message)));
  const own = message.from.id === me;
  const media = kept(message);
  const bare = message.video_note && !message.caption;
  const body = h("div", { class: `bubble${bare ? " bare" : ""}${message.photo || message.video ? " pictured" : ""}` },
    group && !own ? h("div", { class: `sender ink${Math.abs(message.from.id) % 7}` }, nameOf(message.from)) : null,
    origin(message), replied(message, act), media, words(message, act), foot(view, own, act));
  const row = h("article", { class: `row ${own ? "own" : "other"}`, testid: "message", "data-id": message.message_id, "data-from-bot": String(view.from_bot), tabindex: "-1", oncontextmenu: (event) => act.menu(event, view) },
    group && !own ? avatar(message.from.id, nameOf(message.from), message.from.is_bot) : null,
    h("div", { class: "stack" }, body, buttons(message, act)),
    h("button", { class: "more", type: "button", "aria-label": t.menu, onclick: (event) => act.menu(event, view) }, icon("down")));
  row.addEventListener("dblclick", (event) => { if (!event.target.closest("button, a, input")) act.reply(view); });
  return row;
}

function kept(message) {
  const media = ["voice", "audio", "video_note", "video"].map((kind) => message[kind]).find(Boolean);
  if (!media) return mediaOf(message);
  if (!players.has(media.file_id)) players.set(media.file_id, mediaOf(message));
  return players.get(media.file_id);
}

function origin(message) {
  const from = message.forward_origin;
  if (!from) return null;
  const name = from.sender_user ? nameOf(from.sender_user) : from.sender_user_name ?? from.chat?.title ?? "…";
  return h("div", { class: "origin" }, locale === "ru" ? `Переслано от ${name}` : `Forwarded from ${name}`);
}

function replied(message, act) {
  const target = message.reply_to_message;
  if (!target) return null;
  const jump = () => act.jump(target.message_id);
  return h("button", { class: `quote bar${Math.abs(target.from.id) % 7}`, type: "button", onclick: jump },
    h("span", { class: "quote-name" }, nameOf(target.from)), h("span", { class: "quote-text" }, message.quote?.text ?? summary(target)));
}

function words(message, act) {
  const text = message.text ?? message.caption;
  if (!text) return null;
  return h("div", { class: "text", testid: "message-text", dir: "auto" }, rich(text, message.entities ?? message.caption_entities, act.command));
}

function foot(view, own, act) {
  const { message } = view;
  const stamp = h("span", { class: "stamp" }, message.edit_date ? h("span", { class: "edited", testid: "edited", title: new Date(message.edit_date * 1000).toLocaleString(locale) }, t.edited) : null,
    h("time", { datetime: new Date(message.date * 1000).toISOString(), title: new Date(message.date * 1000).toLocaleString(locale) }, hour(message.date)), own ? icon("check") : null);
  const counted = new Map();
  for (const [user, given] of Object.entries(view.reactions)) for (const { emoji } of given) counted.set(emoji, [...(counted.get(emoji) ?? []), Number(user)]);
  const chips = [...counted].map(([emoji, users]) => h("button", { class: `reaction${users.includes(act.me()) ? " mine" : ""}`, type: "button", testid: "reaction", "aria-label": `${emoji} ${users.length}`, onclick: () => act.react(view, users.includes(act.me()) ? "" : emoji) }, emoji, h("span", {}, users.length > 1 ? users.length : "")));
  return h("div", { class: "foot" }, chips.length ? h("div", { class: "reactions" }, chips) : null, stamp);
}

function buttons(message, act) {
  const rows = message.reply_markup?.inline_keyboard;
  if (!rows) return null;
  return h("div", { class: "inline" }, rows.map((row) => h("div", { class: "inline-row" }, row.map((button) => inlineButton(message, button, act)))));
}

function inlineButton(message, button, act) {
  const badge = button.url ? "↗" : button.copy_text ? "⧉" : null;
  return h("button", { type: "button", testid: "inline-button", class: `inline-button ${button.style ?? ""}`, onclick: (event) => act.press(message, button, event.currentTarget) }, h("span", {}, button.text), badge ? h("small", {}, badge) : null);
}
