// Where one writes, attaches and records.

import { get, upload } from "./api.js";
import { summary } from "./bubble.js";
import { menu, toast } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { clock } from "./media.js";
import { Recorder } from "./recorder.js";

export class Composer {
  constructor(app) {
    this.app = app;
    this.known = [];
    this.commands = [];
    this.chosen = -1;
    this.early = [];
    this.input = h("textarea", { class: "composer-input", rows: "1", placeholder: t.message, "aria-label": t.message, testid: "composer", dir: "auto", oninput: () => this.changed(), onkeydown: (event) => this.key(event) });
    this.suggestions = h("div", { class: "suggestions", role: "listbox", "aria-label": t.commands, hidden: true });
    this.context = h("div", { class: "context", hidden: true });
    this.action = h("button", { class: "main-action", type: "button", onclick: () => this.press() });
    this.keyboardToggle = h("button", { class: "tool", type: "button", "aria-label": t.keyboard, title: t.keyboard, hidden: true, onclick: () => this.toggleKeyboard() }, icon("keyboard"));
    this.keyboard = h("div", { class: "reply-keyboard", hidden: true });
    this.progress = h("div", { class: "progress", hidden: true }, h("i"));
    this.quick = this.picker("attach-input", "auto", "audio/*,video/*,image/*,.ogg,.oga,.opus,.mka,.txt");
    this.plain = this.picker("attach-file-input", "document");
    this.note = this.picker("attach-note-input", "video_note", "video/*");
    this.bar = h("div", { class: "composer-bar" },
      h("button", { class: "tool", type: "button", "aria-label": t.attach, title: t.attach, testid: "attach", onclick: (event) => this.attach(event) }, icon("attach")),
      this.input, this.keyboardToggle, this.action, this.quick, this.plain, this.note);
    this.recording = this.recordingBar();
    this.element = h("footer", { class: "composer" }, this.progress, this.suggestions, this.context, this.bar, this.recording, this.keyboard);
    this.refresh();
  }

  picker(testid, kind, accept) {
    return h("input", { type: "file", class: "hidden-input", tabindex: "-1", "aria-hidden": "true", multiple: true, accept, testid, onchange: (event) => { this.sendFiles([...event.target.files], kind); event.target.value = ""; } });
  }

  recordingBar() {
    this.timer = h("span", { class: "rec-time", role: "timer" }, "0:00");
    this.levels = Array.from({ length: 36 }, () => h("i"));
    return h("div", { class: "recording", hidden: true, role: "group", "aria-label": t.recording },
      h("button", { class: "tool danger", type: "button", "aria-label": t.cancel, title: t.cancel, testid: "cancel-recording", onclick: () => this.stopRecording(false) }, icon("trash")),
      h("span", { class: "rec-dot" }), this.timer, h("div", { class: "levels", "aria-hidden": "true" }, this.levels),
      h("button", { class: "main-action", type: "button", "aria-label": t.send, title: t.send, testid: "send-recording", onclick: () => this.stopRecording(true) }, icon("send")));
  }

  refresh() {
    const writing = this.input.value.trim() || this.editing;
    const kind = this.editing ? "check" : writing ? "send" : "mic";
    this.action.replaceChildren(icon(kind));
    this.action.dataset.testid = writing ? "send" : "record";
    const label = writing ? t.send : t.record;
    this.action.setAttribute("aria-label", label);
    this.action.title = label;
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 200)}px`;
  }

  changed() {
    this.refresh();
    this.suggest();
  }

  async suggest() {
    const typed = this.input.value;
    if (!/^\/\w*$/.test(typed) || !this.app.chat) return this.hideSuggestions();
    this.narrow(typed);
    this.known = await get(`/chats/${this.app.chat.id}/commands?language=${this.app.user.language_code ?? ""}`);
    if (this.input.value === typed) this.narrow(typed);
  }

  // At once, from what is known: Enter must never take a suggestion for what was typed before.
  narrow(typed) {
    this.commands = this.known.filter(({ command }) => command.startsWith(typed.slice(1)));
    this.chosen = 0;
    this.showSuggestions();
  }

  showSuggestions() {
    this.suggestions.hidden = !this.commands.length;
    this.suggestions.replaceChildren(...this.commands.map(({ command, description }, index) => h("button", { type: "button", role: "option", tabindex: "-1", "aria-selected": String(index === this.chosen), testid: "command-suggestion", onclick: () => this.take(command) }, h("b", {}, `/${command}`), h("span", {}, description))));
    this.suggestions.children[this.chosen]?.scrollIntoView({ block: "nearest" });
  }

  hideSuggestions() {
    this.commands = [];
    this.suggestions.hidden = true;
  }

  take(command) {
    this.hideSuggestions();
    this.input.value = "";
    this.refresh();
    this.app.say(`/${command}`);
    this.input.focus();
  }

  key(event) {
    if (this.commands.length && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      this.chosen = (this.chosen + (event.key === "ArrowDown" ? 1 : -1) + this.commands.length) % this.commands.length;
      return this.showSuggestions();
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (this.commands.length && this.input.value !== `/${this.commands[this.chosen].command}`) return this.take(this.commands[this.chosen].command);
      if (this.input.value.trim()) this.submit();
    }
    if (event.key === "Escape") { this.hideSuggestions(); this.clearContext(); }
    if (event.key === "ArrowUp" && !this.input.value && !this.editing) this.app.editLast();
  }

  press() {
    if (this.input.value.trim() || this.editing) return this.submit();
    return this.startRecording();
  }

  async submit() {
    const text = this.input.value.trim();
    if (!text || !this.app.chat || this.app.loading) return;
    const { editing, replying } = this;
    this.input.value = "";
    this.hideSuggestions();
    this.clearContext();
    await this.app.attempt(() => (editing ? this.app.change(editing, text) : this.app.say(text, replying?.message.message_id)), () => { this.input.value = text; this.refresh(); });
  }

  reply(view) {
    this.clearContext();
    this.replying = view;
    this.showContext("reply", view.message.from.first_name, summary(view.message));
  }

  edit(view) {
    this.clearContext();
    this.editing = view;
    this.input.value = view.message.text ?? view.message.caption ?? "";
    this.showContext("pencil", t.editing, this.input.value);
  }

  showContext(name, title, text) {
    this.context.replaceChildren(icon(name), h("div", { class: "context-body" }, h("b", {}, title), h("span", {}, text)),
      h("button", { class: "tool", type: "button", "aria-label": t.cancel, onclick: () => this.clearContext() }, icon("close")));
    this.context.hidden = false;
    this.refresh();
    this.input.focus();
  }

  clearContext() {
    if (this.editing) this.input.value = "";
    this.editing = this.replying = null;
    this.context.hidden = true;
    this.refresh();
  }

  attach(event) {
    menu(event, [
      { label: t.pickMedia, name: "image", run: () => this.quick.click() },
      { label: t.pickNote, name: "smile", run: () => this.note.click() },
      { label: t.pickFile, name: "file", run: () => this.plain.click() },
    ]);
  }

  // What is chosen before the page knows its chats is sent when one is open.
  async sendFiles(files, kind) {
    if (!files.length) return;
    if (!this.app.chat) { this.early.push([files, kind]); return; }
    const form = new FormData();
    form.set("from", this.app.user.id);
    form.set("kind", kind);
    if (this.replying) form.set("reply_to", this.replying.message.message_id);
    if (this.input.value.trim() && !this.editing) form.set("caption", this.input.value.trim());
    for (const file of files) form.append("file", file, file.name || t.dropped);
    const target = this.app.chat.id;
    this.input.value = "";
    this.clearContext();
    this.progress.hidden = false;
    await this.app.attempt(() => upload(`/chats/${target}/messages`, form, (part) => { this.progress.firstChild.style.width = `${part * 100}%`; }));
    this.progress.hidden = true;
  }

  sendEarly() {
    for (const [files, kind] of this.early.splice(0)) this.sendFiles(files, kind);
  }

  async startRecording() {
    this.recorder = new Recorder();
    try {
      await this.recorder.start((level, seconds) => this.level(level, seconds));
    } catch (error) {
      this.recorder = null;
      return toast(t.noMic + error.message);
    }
    this.bar.hidden = true;
    this.recording.hidden = false;
    this.recording.querySelector("[data-testid=send-recording]").focus();
  }

  level(level, seconds) {
    this.timer.textContent = `${clock(seconds)},${Math.floor((seconds * 10) % 10)}`;
    if (seconds * 12 < (this.ticks ?? 0)) return;
    this.ticks = seconds * 12 + 1;
    this.loudness = [...(this.loudness ?? []), level].slice(-this.levels.length);
    this.levels.forEach((bar, index) => { bar.style.height = `${3 + 25 * (this.loudness.at(index - this.levels.length) ?? 0)}px`; });
  }

  async stopRecording(send) {
    const { recorder } = this;
    if (!recorder) return;
    this.recorder = null;
    const file = await recorder.stop();
    this.ticks = 0;
    this.loudness = [];
    this.recording.hidden = true;
    this.bar.hidden = false;
    this.input.focus();
    if (send) await this.sendFiles([file], "voice");
  }

  showKeyboard(markup) {
    const rows = markup?.keyboard;
    this.markup = rows ? markup : null;
    this.keyboardToggle.hidden = !rows;
    this.keyboard.hidden = !rows;
    this.input.placeholder = markup?.input_field_placeholder ?? t.message;
    this.keyboard.replaceChildren(...(rows ?? []).map((row) => h("div", { class: "inline-row" }, row.map((button) => h("button", { type: "button", testid: "reply-keyboard-button", onclick: () => this.tap(button) }, button.text)))));
  }

  tap(button) {
    this.app.attempt(() => this.app.say(button.text));
    if (this.markup?.one_time_keyboard) this.keyboard.hidden = true;
  }

  toggleKeyboard() {
    this.keyboard.hidden = !this.keyboard.hidden;
  }
}
