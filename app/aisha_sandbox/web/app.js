// The web chat: what is known of the sandbox, and the page around it.

import { call, get, listen } from "./api.js";
import { bubble, day, hour, nameOf, summary } from "./bubble.js";
import { Composer } from "./composer.js";
import { alertBox, confirmBox, formBox, menu, toast } from "./dialogs.js";
import { avatar, h, icon } from "./dom.js";
import { locale, t } from "./i18n.js";
import { rich } from "./text.js";

const REACTIONS = ["👍", "❤", "🔥", "👏", "😁", "🤔", "😢", "🎉", "👀", "💯"];
const LANGUAGES = [["", "—"], ["en", "English"], ["ru", "Русский"], ["de", "Deutsch"], ["fr", "Français"], ["es", "Español"], ["it", "Italiano"], ["pt", "Português"], ["uk", "Українська"], ["zh", "中文"]];
const GROUP_GAP_SECONDS = 300;

class App {
  constructor() {
    this.views = new Map();
    this.unread = new Map();
    this.actions = new Map();
    this.drafts = new Map();
    this.pressed = new Map();
    this.answers = new Map();
    this.loading = 0;
    this.missed = [];
    this.act = { menu: (event, view) => this.messageMenu(event, view), reply: (view) => this.composer.reply(view), jump: (id) => this.jump(id), react: (view, emoji) => this.react(view, emoji), press: (message, button, element) => this.press(message, button, element), command: (text) => this.attempt(() => this.say(text)), me: () => this.user.id };
    this.build();
    this.drops();
  }

  build() {
    this.composer = new Composer(this);
    this.list = h("nav", { class: "chat-list", "aria-label": t.chats });
    this.side = h("header", { class: "side-head" });
    this.lost = h("div", { class: "lost", role: "status", hidden: true }, h("i"), t.lost);
    this.head = h("header", { class: "chat-head" });
    this.log = h("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": t.chats });
    this.scroll = h("div", { class: "scroll", onscroll: () => this.scrolled() }, this.log);
    this.down = h("button", { class: "to-end", type: "button", testid: "to-end", "aria-label": t.down, hidden: true, onclick: () => this.toEnd("smooth") }, icon("down"));
    this.gate = h("div", { class: "gate", hidden: true });
    this.main = h("main", { class: "chat" }, this.head, h("div", { class: "stage" }, this.scroll, this.down), this.gate, this.composer.element);
    this.root = h("div", { class: "shell" }, h("aside", { class: "side" }, this.side, this.lost, this.list), this.main);
    document.getElementById("app").replaceChildren(this.root);
    this.composer.refresh();
    this.stuck = true;
    new ResizeObserver(() => { if (this.stuck) this.toEnd(); }).observe(this.log);
    new ResizeObserver(() => { if (this.stuck) this.toEnd(); }).observe(this.scroll);
  }

  // What happens while the present state is being fetched is told again afterwards. States are fetched one after the other, so that none is older than
  // what is shown; whoever asks meanwhile gets the next one.
  async load() {
    this.loading += 1;
    this.next ??= Promise.allSettled([this.fetched]).then(() => {
      this.next = null;
      return (this.fetched = this.fetch());
    });
    try {
      await this.next;
    } finally {
      this.loading -= 1;
      this.catchUp();
    }
  }

  catchUp() {
    if (this.loading) return;
    for (const event of this.missed.splice(0)) this.event(event);
  }

  async fetch() {
    const state = await get("/state");
    this.bot = state.bot;
    this.users = state.users;
    this.chats = state.chats;
    this.description = state.description;
    this.user = this.users.find(({ id }) => id === Number(localStorage.user)) ?? this.users[0];
    const open = this.mine().find(({ id }) => id === (this.chat?.id ?? Number(localStorage.chat))) ?? this.mine()[0];
    this.showSide();
    if (this.mine().length === 1) this.root.classList.add("in-chat");
    if (open) await this.open(open.id, { keep: true });
  }

  mine() {
    return this.chats.filter((chat) => chat.members.includes(this.user.id));
  }

  title(chat) {
    return chat.type === "private" ? this.bot.first_name : chat.title;
  }

  showSide() {
    this.side.replaceChildren(
      h("button", { class: "whoami", type: "button", testid: "user-switch", "aria-label": t.switchUser, title: t.switchUser, onclick: (event) => this.userMenu(event) }, avatar(this.user.id, nameOf(this.user)), h("span", { class: "whoami-text" }, h("b", {}, nameOf(this.user)), h("small", {}, [this.user.username ? `@${this.user.username}` : `id ${this.user.id}`, this.user.language_code].filter(Boolean).join(" · ")))),
      h("button", { class: "tool", type: "button", testid: "theme", "aria-label": t.theme, title: t.theme, onclick: () => theme(true) }, icon("moon"), icon("sun")),
      h("button", { class: "tool", type: "button", testid: "new", "aria-label": t.newGroup, title: t.newGroup, onclick: (event) => this.newMenu(event) }, icon("plus")));
    const order = [...this.mine()].sort((a, b) => (b.last?.message.date ?? 0) - (a.last?.message.date ?? 0) || (b.last?.version ?? 0) - (a.last?.version ?? 0));
    this.list.replaceChildren(...order.map((chat) => this.item(chat)));
  }

  item(chat) {
    const last = chat.last?.message;
    const waiting = this.unread.get(chat.id) ?? 0;
    const who = last && (last.from.id === this.user.id ? t.you_ : chat.type === "private" ? "" : `${last.from.first_name}: `);
    const doing = this.actions.get(chat.id);
    return h("button", { type: "button", class: `item${this.chat?.id === chat.id ? " open" : ""}`, testid: "chat-item", "data-chat": chat.id, "aria-current": this.chat?.id === chat.id ? "true" : null, onclick: () => this.open(chat.id) },
      avatar(chat.type === "private" ? this.bot.id : chat.id, this.title(chat), chat.type === "private"),
      h("span", { class: "item-body" }, h("span", { class: "item-top" }, h("b", {}, this.title(chat)), h("time", {}, last ? hour(last.date) : "")),
        h("span", { class: "item-bottom" }, doing ? h("span", { class: "doing" }, `${t[doing] ?? t.typing}…`) : h("span", {}, last ? h("span", { class: "who" }, who) : null, last ? summary(last).slice(0, 90) : t.empty), waiting ? h("span", { class: "badge" }, waiting) : null)));
  }

  async open(id, { keep = false } = {}) {
    this.chat = this.chats.find((chat) => chat.id === id);
    localStorage.chat = id;
    if (!keep) { this.composer.clearContext(); this.root.classList.add("in-chat"); }
    this.loading += 1;
    const { messages } = await get(`/chats/${id}/messages`).finally(() => { this.loading -= 1; });
    if (this.chat?.id !== id) return;
    this.views = new Map(messages.map((view) => [view.message.message_id, view]));
    this.unread.delete(id);
    this.showSide();
    this.showHead();
    this.showLog();
    this.showGate();
    this.toEnd();
    this.catchUp();
    this.composer.sendEarly();
    if (this.composer.suggestions.hidden) this.composer.suggest();
    if (!keep && matchMedia("(hover: hover)").matches) this.composer.input.focus();
  }

  showHead() {
    const { chat } = this;
    const doing = this.actions.get(chat.id);
    const subtitle = doing ? h("small", { class: "doing", testid: "typing" }, t[doing] ?? t.typing, h("span", { class: "dots" }, h("i"), h("i"), h("i"))) : h("small", {}, chat.type === "private" ? t.bot : t.members(chat.members.length + (this.present() ? 1 : 0)));
    this.head.replaceChildren(
      h("button", { class: "tool back", type: "button", testid: "back", "aria-label": t.back, onclick: () => this.root.classList.remove("in-chat") }, icon("back")),
      avatar(chat.type === "private" ? this.bot.id : chat.id, this.title(chat), chat.type === "private"),
      h("div", { class: "head-text" }, h("h1", {}, this.title(chat)), subtitle),
      h("button", { class: "tool", type: "button", testid: "chat-menu", "aria-label": t.menu, title: t.menu, onclick: (event) => this.chatMenu(event) }, icon("menu")));
    document.title = `${this.title(chat)} — Aisha`;
  }

  present() {
    return !["left", "kicked"].includes(this.chat.bot_status);
  }

  showLog() {
    const shown = [...this.views.values()].filter((view) => !view.deleted).sort((a, b) => a.message.message_id - b.message.message_id);
    this.log.replaceChildren();
    let date = null;
    for (const view of shown) {
      if (day(view.message.date) !== date) this.log.append(h("div", { class: "service day" }, h("span", {}, (date = day(view.message.date)))));
      this.log.append(this.bubble(view));
    }
    if (!shown.length) this.log.append(this.invitation());
    this.chain();
    this.showDraft();
    this.showKeyboard(shown);
  }

  bubble(view) {
    return bubble(view, { me: this.user.id, group: this.chat.type !== "private", act: this.act });
  }

  invitation() {
    const words = this.description[locale] || this.description[""];
    return h("div", { class: "invitation", testid: "invitation" }, avatar(this.bot.id, this.bot.first_name, true), h("h2", {}, words ? t.inviteTitle : this.bot.first_name), words ? h("p", {}, words) : null, h("p", { class: "lead" }, icon("mic"), t.invite), words ? null : h("p", {}, t.inviteMore));
  }

  chain() {
    const rows = [...this.log.querySelectorAll(".row")];
    rows.forEach((row, index) => {
      const [here, next, before] = [row, rows[index + 1], rows[index - 1]].map((each) => each && this.views.get(Number(each.dataset.id))?.message);
      const joined = (a, b) => a && b && a.from.id === b.from.id && Math.abs(a.date - b.date) < GROUP_GAP_SECONDS && day(a.date) === day(b.date);
      row.classList.toggle("first", !joined(here, before));
      row.classList.toggle("last", !joined(here, next));
    });
  }

  showKeyboard(shown) {
    const latest = shown.findLast((view) => view.from_bot && view.keyboard && !view.keyboard.force_reply);
    this.composer.showKeyboard(latest && !latest.keyboard.remove_keyboard ? latest.keyboard : null);
  }

  showGate() {
    const started = this.chat.started || this.views.size;
    const gate = (label, run, testid) => h("button", { type: "button", class: "gate-button", testid, onclick: run }, label);
    const content = this.chat.type === "private"
      ? this.present() ? (started ? null : gate(t.start, () => this.attempt(() => this.say("/start")), "start")) : gate(t.restart, () => this.botStatus("member"), "unblock")
      : this.present() ? null : gate(t.add, () => this.botStatus("member"), "add-bot");
    this.gate.replaceChildren(...(content ? [content] : []));
    this.gate.hidden = !content;
    const blocked = !this.present() && this.chat.type === "private";
    this.composer.element.hidden = blocked;
  }

  showDraft() {
    this.log.querySelector(".draft")?.remove();
    const draft = this.drafts.get(this.chat.id);
    if (!draft) return;
    this.log.append(h("article", { class: "row other first last draft", testid: "draft" }, h("div", { class: "stack" }, h("div", { class: "bubble" }, h("div", { class: "text" }, rich(draft.text, draft.entities), h("span", { class: "caret" })), h("div", { class: "foot" }, h("span", { class: "stamp" }, t.draft))))));
  }

  atEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 120;
  }

  toEnd(behavior = "instant") {
    this.scroll.scrollTo({ top: this.scroll.scrollHeight, behavior });
  }

  scrolled() {
    this.stuck = this.atEnd();
    this.down.hidden = this.stuck;
  }

  jump(id) {
    const row = this.log.querySelector(`[data-id="${id}"]`);
    if (!row) return;
    row.scrollIntoView({ block: "center", behavior: "smooth" });
    row.classList.remove("flash");
    requestAnimationFrame(() => row.classList.add("flash"));
  }

  event(event) {
    if (event.type === "hello") this.connected();
    else if (event.type === "chats") this.load();
    else if (this.loading || !this.user) this.missed.push(event);
    else ({ message: () => this.changed(event), action: () => this.doing(event), draft: () => this.drafted(event), callback: () => this.answered(event), commands: () => this.composer.suggest() })[event.type]?.();
  }

  async connected() {
    this.lost.hidden = true;
    await this.load();
  }

  changed({ chat_id: id, view }) {
    if (this.chat?.id === id && (this.views.get(view.message.message_id)?.version ?? 0) >= view.version) return;
    const chat = this.chats?.find((each) => each.id === id);
    if (!chat) return;
    const newest = !chat.last || view.message.message_id >= chat.last.message.message_id;
    const isNew = this.chat?.id === id ? !this.views.has(view.message.message_id) : !chat.last || view.message.message_id > chat.last.message.message_id;
    if (newest) chat.last = view;
    if (!view.from_bot) chat.started = true;
    if (view.from_bot) this.drafts.delete(id);
    if (this.chat?.id === id) this.place(view, isNew);
    else if (isNew && view.message.from.id !== this.user.id) this.unread.set(id, (this.unread.get(id) ?? 0) + 1);
    this.showSide();
  }

  place(view, isNew) {
    const stay = this.stuck || view.message.from.id === this.user.id;
    const id = view.message.message_id;
    const known = this.log.querySelector(`[data-id="${id}"]`);
    this.views.set(id, view);
    if (known && !view.deleted) known.replaceWith(this.bubble(view));
    else if (isNew && !view.deleted && this.log.querySelector(".row") && day(view.message.date) === this.lastDay()) this.append(view);
    else this.showLog();
    this.chain();
    this.showDraft();
    this.showKeyboard([...this.views.values()].filter((each) => !each.deleted));
    this.showGate();
    if (stay) this.toEnd();
  }

  append(view) {
    const row = this.bubble(view);
    row.classList.add("arriving");
    this.log.append(row);
  }

  lastDay() {
    const row = [...this.log.querySelectorAll(".row:not(.draft)")].at(-1);
    return row && day(this.views.get(Number(row.dataset.id)).message.date);
  }

  doing({ chat_id: id, action }) {
    clearTimeout(this.pressed.get(`action${id}`));
    if (action) {
      this.actions.set(id, action);
      this.pressed.set(`action${id}`, setTimeout(() => this.doing({ chat_id: id, action: null }), 5000));
    } else this.actions.delete(id);
    if (this.chat?.id === id) this.showHead();
    this.showSide();
  }

  drafted(event) {
    const stay = this.stuck;
    this.drafts.set(event.chat_id, event);
    setTimeout(() => { if (this.drafts.get(event.chat_id) === event) { this.drafts.delete(event.chat_id); this.showDraft(); } }, 30000);
    if (this.chat?.id === event.chat_id) this.showDraft();
    if (stay) this.toEnd();
  }

  answered({ id, answer }) {
    const waiting = this.pressed.get(id);
    if (!waiting) { this.answers.set(id, answer); return; }
    this.pressed.delete(id);
    waiting.classList.remove("busy");
    document.querySelectorAll(".inline-button.busy").forEach((each) => each.classList.remove("busy"));
    if (answer.text) (answer.show_alert ? alertBox : toast)(answer.text);
  }

  async attempt(run, undo = () => {}) {
    try {
      return await run();
    } catch (error) {
      undo();
      toast(t.failed + error.message, "error");
      return null;
    }
  }

  say(text, replyTo) {
    return call("POST", `/chats/${this.chat.id}/messages`, { from: this.user.id, text, ...(replyTo ? { reply_to: replyTo } : {}) });
  }

  change(view, text) {
    return call("PATCH", `/chats/${this.chat.id}/messages/${view.message.message_id}`, { [view.message.text ? "text" : "caption"]: text });
  }

  editLast() {
    const own = [...this.views.values()].findLast((view) => view.message.from.id === this.user.id && !view.deleted && view.message.text);
    if (own) this.composer.edit(own);
  }

  react(view, emoji) {
    return this.attempt(() => call("POST", `/chats/${this.chat.id}/messages/${view.message.message_id}/react`, { user_id: this.user.id, emoji }));
  }

  async press(message, button, element) {
    if (button.url) { if (await confirmBox(button.url, t.openLink.replace("?", ""))) window.open(button.url, "_blank", "noopener"); return; }
    if (button.copy_text) { await navigator.clipboard?.writeText(button.copy_text.text); toast(t.copied); return; }
    if (!button.callback_data) return;
    element.classList.add("busy");
    const query = await this.attempt(() => call("POST", `/chats/${message.chat.id}/messages/${message.message_id}/press`, { user_id: this.user.id, data: button.callback_data }), () => element.classList.remove("busy"));
    if (!query) return;
    this.pressed.set(query.callback_query_id, element);
    const early = this.answers.get(query.callback_query_id);
    if (early) this.answered({ id: query.callback_query_id, answer: early });
    setTimeout(() => element.classList.remove("busy"), 15000);
  }

  messageMenu(event, view) {
    const own = view.message.from.id === this.user.id;
    const text = view.message.text ?? view.message.caption;
    const at = place(event);
    const emojis = (close) => h("div", { class: "emoji-row", "aria-label": t.react }, REACTIONS.map((emoji) => h("button", { type: "button", testid: "react", "aria-label": emoji, onclick: () => { close(); this.react(view, emoji); } }, emoji)));
    menu(event, [
      { label: t.reply, name: "reply", run: () => this.composer.reply(view), testid: "menu-reply" },
      { label: t.forward, name: "forward", run: () => this.forwardMenu(at, view), testid: "menu-forward" },
      own && text && { label: t.edit, name: "pencil", run: () => this.composer.edit(view), testid: "menu-edit" },
      text && { label: t.copy, name: "copy", run: () => { navigator.clipboard?.writeText(text); toast(t.copied); } },
      { label: t.del, name: "trash", danger: true, testid: "menu-delete", run: () => this.attempt(() => call("DELETE", `/chats/${this.chat.id}/messages/${view.message.message_id}`)) },
    ], emojis);
  }

  forwardMenu(at, view) {
    menu(at, this.mine().map((chat) => ({ label: this.title(chat), name: avatar(chat.type === "private" ? this.bot.id : chat.id, this.title(chat), chat.type === "private"), testid: "forward-choice", run: () => this.forward(view, chat) })));
  }

  async forward(view, chat) {
    const { chat: from, message_id: id } = view.message;
    const sent = await this.attempt(() => call("POST", `/chats/${chat.id}/messages`, { from: this.user.id, forward: { chat_id: from.id, message_id: id } }));
    if (sent && this.chat.id !== chat.id) await this.open(chat.id);
  }

  chatMenu(event) {
    const here = this.present();
    const outsiders = this.users.filter(({ id }) => !this.chat.members.includes(id));
    const items = this.chat.type === "private"
      ? [{ label: here ? t.block : t.unblock, name: "block", danger: here, testid: "menu-block", run: () => this.botStatus(here ? "kicked" : "member") }]
      : [...outsiders.map((user) => ({ label: `+ ${nameOf(user)}`, name: "user", run: () => call("POST", `/chats/${this.chat.id}/members`, { user_id: user.id }) })), { label: here ? t.kick : t.add, name: "block", danger: here, run: () => this.botStatus(here ? "kicked" : "member") }];
    menu(event, items);
  }

  botStatus(status) {
    return this.attempt(() => call("POST", `/chats/${this.chat.id}/bot`, { status, user_id: this.user.id }));
  }

  userMenu(event) {
    menu(event, [
      ...this.users.map((user) => ({ label: nameOf(user), name: avatar(user.id, nameOf(user)), chosen: user.id === this.user.id, testid: "user-choice", run: () => this.become(user) })),
      { label: t.settings, name: "pencil", testid: "profile", run: () => this.profile() },
      { label: t.newUser, name: "user", testid: "new-user", run: () => this.newUser() },
    ]);
  }

  newMenu(event) {
    menu(event, [{ label: t.newUser, name: "user", run: () => this.newUser() }, { label: t.newGroup, name: "group", testid: "new-group", run: () => this.newGroup() }]);
  }

  async become(user) {
    localStorage.user = user.id;
    this.chat = null;
    await this.load();
  }

  fields(user = {}) {
    return [{ name: "first_name", label: t.name, value: user.first_name, required: true }, { name: "last_name", label: t.lastName, value: user.last_name }, { name: "username", label: t.username, value: user.username }, { name: "language_code", label: t.language, value: user.language_code ?? "", options: LANGUAGES }];
  }

  async profile() {
    const changes = await formBox(t.settings, this.fields(this.user), t.save);
    if (changes) await this.attempt(() => call("PATCH", `/users/${this.user.id}`, changes));
  }

  async newUser() {
    const made = await formBox(t.newUser, this.fields({ language_code: locale }), t.create);
    const user = made && (await this.attempt(() => call("POST", "/users", { ...made, started: false })));
    if (user) { await this.load(); await this.become(user); }
  }

  async newGroup() {
    const made = await formBox(t.newGroup, [{ name: "title", label: t.title, required: true }, { name: "members", label: t.who, checks: this.users.map((user) => [user.id, nameOf(user)]) }], t.create);
    const group = made && (await this.attempt(() => call("POST", "/chats", { type: "supergroup", title: made.title, members: (made.members ?? []).map(Number) })));
    if (group) { await this.load(); await this.open(group.id); }
  }

  drops() {
    const zone = (kind, title, more) => h("div", { class: "zone", "data-kind": kind }, icon(kind === "auto" ? "mic" : "file"), h("b", {}, title), h("span", {}, more));
    this.curtain = h("div", { class: "curtain", hidden: true }, zone("auto", t.quick, t.quickMore), zone("document", t.asFile, t.asFileMore));
    this.main.append(this.curtain);
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      this.curtain.hidden = false;
      for (const each of this.curtain.children) each.classList.toggle("over", each.contains(event.target));
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) this.curtain.hidden = true; });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.curtain.hidden = true;
      this.composer.sendFiles([...event.dataTransfer.files], event.target.closest?.(".zone")?.dataset.kind ?? "auto");
    });
    addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); this.composer.sendFiles([...event.clipboardData.files], "auto"); } });
    addEventListener("keydown", (event) => { if (event.key === "Escape" && this.composer.recorder) this.composer.stopRecording(false); });
  }
}

// Where a menu was opened, for one that follows it.
function place({ type, clientX, clientY, currentTarget }) {
  const { left, bottom } = currentTarget.getBoundingClientRect();
  return { type: "contextmenu", preventDefault() {}, clientX: (type === "contextmenu" && clientX) || left || 1, clientY: (type === "contextmenu" && clientY) || bottom };
}

function theme(toggle) {
  const dark = localStorage.theme ? localStorage.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const wanted = toggle ? !dark : dark;
  if (toggle) localStorage.theme = wanted ? "dark" : "light";
  document.documentElement.dataset.theme = wanted ? "dark" : "light";
}

theme(false);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(false));
const app = new App();
listen((event) => app.event(event), () => { app.lost.hidden = false; });
