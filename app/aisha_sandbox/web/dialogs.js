// Menus, toasts, alerts and forms.

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

export function toast(text, testid = "toast") {
  const box = h("div", { class: "toast", role: "status", testid }, text);
  document.body.append(box);
  setTimeout(() => box.classList.add("gone"), 3500);
  setTimeout(() => box.remove(), 4000);
}

export function alertBox(text) {
  const box = h("dialog", { class: "dialog", testid: "alert" }, h("p", { class: "dialog-text" }, text),
    h("form", { method: "dialog", class: "dialog-actions" }, h("button", { class: "primary", autofocus: true }, t.ok)));
  show(box);
}

export function confirmBox(text, action) {
  return new Promise((resolve) => {
    const box = h("dialog", { class: "dialog" }, h("p", { class: "dialog-text" }, text),
      h("form", { method: "dialog", class: "dialog-actions" }, h("button", { value: "" }, t.cancel), h("button", { class: "primary", value: "yes" }, action)));
    box.addEventListener("close", () => resolve(box.returnValue === "yes"));
    show(box);
  });
}

export function formBox(title, fields, action) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" }, h("h2", {}, title), fields.map(field),
      h("div", { class: "dialog-actions" }, h("button", { type: "button", onclick: () => box.close() }, t.cancel), h("button", { class: "primary", value: "yes", testid: "dialog-save" }, action)));
    const box = h("dialog", { class: "dialog", testid: "dialog", "aria-label": title }, form);
    box.addEventListener("close", () => {
      const data = new FormData(form);
      resolve(box.returnValue === "yes" ? Object.fromEntries([...new Set(data.keys())].map((key) => [key, data.getAll(key).length > 1 || key === "members" ? data.getAll(key) : data.get(key)])) : null);
    });
    show(box);
  });
}

function field({ name, label, value = "", required, options, checks }) {
  if (checks) return h("fieldset", {}, h("legend", {}, label), checks.map(([id, text]) => h("label", { class: "check" }, h("input", { type: "checkbox", name, value: String(id), checked: true }), text)));
  const control = options
    ? h("select", { name }, options.map(([code, text]) => h("option", { value: code, selected: code === value }, text)))
    : h("input", { name, value, required, autocomplete: "off", maxlength: "64" });
  return h("label", { class: "field" }, h("span", {}, label), control);
}

function show(box) {
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
}

export function menu(event, items, head = null) {
  event.preventDefault();
  document.querySelector(".menu")?.remove();
  const before = document.activeElement;
  const close = () => { box.remove(); document.removeEventListener("pointerdown", outside, true); before?.focus?.(); };
  const outside = (press) => { if (!box.contains(press.target)) close(); };
  const box = h("div", { class: "menu", role: "menu", testid: "menu" }, head?.(close),
    items.filter(Boolean).map(({ label, name, run, danger, chosen, testid }) => h("button", { type: "button", role: "menuitem", class: danger ? "danger" : "", testid, onclick: () => { close(); run(); } }, typeof name === "string" ? icon(name) : name, h("span", {}, label), chosen ? icon("check") : null)));
  box.addEventListener("keydown", (press) => keys(press, box, close));
  document.body.append(box);
  place(box, event);
  document.addEventListener("pointerdown", outside, true);
  box.querySelector("[role=menuitem]")?.focus({ preventScroll: true });
}

function place(box, event) {
  const anchor = event.currentTarget?.getBoundingClientRect?.();
  const pointer = event.type === "contextmenu" && event.clientX;
  const [x, y] = pointer ? [event.clientX, event.clientY] : [anchor.left, anchor.bottom + 4];
  box.style.left = `${Math.max(8, Math.min(x, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${Math.max(8, y + box.offsetHeight > innerHeight - 8 ? (pointer ? y : anchor.top) - box.offsetHeight : y)}px`;
}

function keys(press, box, close) {
  const items = [...box.querySelectorAll("button")];
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[press.key];
  if (step) { press.preventDefault(); items.at((items.indexOf(document.activeElement) + step) % items.length)?.focus(); }
  if (press.key === "Escape") close();
}
