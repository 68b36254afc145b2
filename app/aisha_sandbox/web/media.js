// Players and file cards.

import { fileUrl } from "./api.js";
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

const BARS = 44;
let playing = null;

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return (hours ? `${hours}:${String(minutes).padStart(2, "0")}` : `${minutes}`) + `:${String(whole % 60).padStart(2, "0")}`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const [unit, divisor] = bytes < 1024 ** 2 ? ["KB", 1024] : bytes < 1024 ** 3 ? ["MB", 1024 ** 2] : ["GB", 1024 ** 3];
  return `${(bytes / divisor).toFixed(1)} ${unit}`;
}

export function mediaOf(message) {
  if (message.voice) return voice(message.voice);
  if (message.audio) return audio(message.audio);
  if (message.video_note) return note(message.video_note);
  if (message.video) return video(message.video);
  if (message.photo) return photo(message.photo.at(-1));
  return message.document ? card(message.document) : null;
}

function alone(element) {
  element.addEventListener("play", () => {
    if (playing && playing !== element) playing.pause();
    playing = element;
  });
  return element;
}

function controls(element, button, onTick) {
  const show = () => {
    button.replaceChildren(icon(element.paused ? "play" : "pause"));
    button.setAttribute("aria-label", element.paused ? t.play : t.pause);
  };
  const tick = () => {
    onTick(element.currentTime);
    if (!element.paused) requestAnimationFrame(tick);
  };
  element.addEventListener("play", () => { show(); tick(); });
  element.addEventListener("pause", show);
  element.addEventListener("timeupdate", () => onTick(element.currentTime));
  element.addEventListener("ended", () => { element.currentTime = 0; onTick(0); });
  button.addEventListener("click", () => (element.paused ? element.play().catch(() => button.classList.add("broken")) : element.pause()));
  show();
}

function voice(media) {
  const player = alone(new Audio());
  player.preload = "none";
  player.src = fileUrl(media.file_id);
  const button = h("button", { class: "round-play", type: "button" });
  const bars = Array.from({ length: BARS }, () => h("i"));
  const wave = h("div", { class: "wave", role: "slider", tabindex: "0", "aria-label": t.voice, "aria-valuemin": "0", "aria-valuemax": String(media.duration), "aria-valuenow": "0" }, bars);
  const time = h("span", { class: "time-left" }, clock(media.duration));
  const speed = h("button", { class: "speed", type: "button", "aria-label": t.speed, hidden: true }, "1×");
  const length = () => (Number.isFinite(player.duration) && player.duration > 0 ? player.duration : media.duration || 1);
  const tick = (now) => {
    const part = now / length();
    bars.forEach((bar, index) => bar.classList.toggle("on", index < part * BARS));
    time.textContent = clock(player.paused && !now ? media.duration : now);
    wave.setAttribute("aria-valuenow", String(Math.round(now)));
    speed.hidden = player.paused && !now;
  };
  seekable(wave, player, length, tick);
  speed.addEventListener("click", () => {
    player.playbackRate = { 1: 1.5, 1.5: 2, 2: 1 }[player.playbackRate];
    speed.textContent = `${player.playbackRate}×`;
  });
  controls(player, button, tick);
  drawn(bars, media);
  return h("div", { class: "voice" }, button, h("div", { class: "voice-body" }, wave, h("div", { class: "voice-foot" }, time, h("span", { class: "dot" }, "·"), h("span", {}, size(media.file_size)), speed)));
}

function seekable(bar, player, length, tick) {
  const seek = (part) => {
    player.currentTime = Math.min(Math.max(part, 0), 0.999) * length();
    tick(player.currentTime);
  };
  bar.addEventListener("click", (event) => seek((event.clientX - bar.getBoundingClientRect().left) / bar.clientWidth));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
    if (step) seek((player.currentTime + step) / length());
  });
}

function shape(bars, heights) {
  bars.forEach((bar, index) => { bar.style.height = `${Math.max(3, Math.round(heights[index] * 22))}px`; });
}

function drawn(bars, media) {
  let seed = [...media.file_unique_id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  shape(bars, bars.map(() => { seed = (seed * 1103515245 + 12345) >>> 0; return 0.15 + ((seed >>> 16) % 100) / 160; }));
  if (media.file_size < 4e6) measured(fileUrl(media.file_id), bars.length).then((heights) => shape(bars, heights)).catch(() => {});
}

async function measured(url, count) {
  const raw = await (await fetch(url)).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(raw);
  const samples = sound.getChannelData(0);
  const step = Math.max(1, Math.floor(samples.length / count));
  const loud = Array.from({ length: count }, (_, index) => {
    let sum = 0;
    for (let at = index * step; at < (index + 1) * step; at += 8) sum += samples[at] ** 2 || 0;
    return Math.sqrt(sum / (step / 8));
  });
  const top = Math.max(...loud, 1e-4);
  return loud.map((value) => Math.sqrt(value / top));
}

function audio(media) {
  const player = alone(new Audio());
  player.preload = "none";
  player.src = fileUrl(media.file_id);
  const button = h("button", { class: "round-play", type: "button" });
  const fill = h("i");
  const track = h("div", { class: "track", role: "slider", tabindex: "0", "aria-label": t.audio, "aria-valuemin": "0", "aria-valuemax": String(media.duration), "aria-valuenow": "0" }, fill);
  const time = h("span", {}, clock(media.duration));
  const length = () => (Number.isFinite(player.duration) && player.duration > 0 ? player.duration : media.duration || 1);
  const tick = (now) => {
    fill.style.width = `${(100 * now) / length()}%`;
    time.textContent = now ? `${clock(now)} / ${clock(length())}` : clock(media.duration);
  };
  seekable(track, player, length, tick);
  controls(player, button, tick);
  const title = media.title ?? media.file_name ?? t.audio;
  return h("div", { class: "audio" }, button, h("div", { class: "audio-body" },
    h("div", { class: "file-name", title }, title),
    track,
    h("div", { class: "file-facts" }, media.performer ? `${media.performer} · ` : "", time, ` · ${size(media.file_size)}`)), save(media));
}

function save(media) {
  return h("a", { class: "save", href: fileUrl(media.file_id), download: media.file_name ?? "", "aria-label": t.download, title: t.download }, icon("download"));
}

function note(media) {
  const player = alone(h("video", { src: fileUrl(media.file_id), preload: "metadata", playsinline: true }));
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  ring.setAttribute("viewBox", "0 0 100 100");
  ring.setAttribute("class", "ring");
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: 50, cy: 50, r: 48.5, pathLength: 100 })) circle.setAttribute(name, value);
  ring.append(circle);
  const button = h("button", { class: "cover", type: "button" });
  const time = h("span", { class: "chip" }, clock(media.duration));
  controls(player, button, (now) => {
    circle.style.strokeDasharray = `${(100 * now) / (media.duration || player.duration || 1)} 100`;
    time.textContent = clock(now || media.duration);
  });
  return h("div", { class: "note" }, player, ring, button, time);
}

function video(media) {
  const player = alone(h("video", { src: fileUrl(media.file_id), controls: true, preload: "metadata", playsinline: true }));
  if (media.width && media.height) player.style.aspectRatio = `${media.width} / ${media.height}`;
  player.addEventListener("error", () => player.replaceWith(card(media)), { once: true });
  return h("div", { class: "video" }, player);
}

function photo(media) {
  const image = h("img", { src: fileUrl(media.file_id), alt: t.photo, loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(card(media)), { once: true });
  return h("a", { class: "photo", href: fileUrl(media.file_id), target: "_blank", rel: "noopener" }, image);
}

function card(media) {
  const name = media.file_name ?? t.document;
  const suffix = name.includes(".") ? name.split(".").at(-1).slice(0, 4) : "";
  return h("a", { class: "file", href: fileUrl(media.file_id), download: name, testid: "document" },
    h("span", { class: "file-icon" }, h("span", { class: "suffix" }, suffix || icon("file")), icon("download")),
    h("span", { class: "file-body" }, h("span", { class: "file-name", title: name }, name), h("span", { class: "file-facts" }, size(media.file_size ?? 0))));
}
