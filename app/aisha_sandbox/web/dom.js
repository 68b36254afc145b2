// Elements made in one call, and the icons.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "testid") element.dataset.testid = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const PATHS = {
  mic: "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15Zm6-3.5a6 6 0 0 1-12 0M12 17.5V21m-3 0h6",
  send: "M4 12 3.2 4.9c-.1-.9.8-1.5 1.6-1.2l16 7.3c.9.4.9 1.6 0 2l-16 7.300c-.8.3-1.7-.3-1.6-1.200L4 12Zm0 0h8",
  attach: "m20 11-8.3 8.300a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 4.8 4.800l-8.2 8.200a1.7 1.7 0 0 1-2.4-2.400L15 7",
  back: "M15 5l-7 7 7 7M8.5 12H20",
  menu: "M12 6h.01M12 12h.01M12 18h.01",
  burger: "M4 7h16M4 12h16M4 17h16",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 13l4.5 4.500L19 8",
  trash: "M5 7h14M10 7V5h4v2m-7.5 0 .8 12a1.5 1.5 0 0 0 1.5 1.400h6.400a1.5 1.5 0 0 0 1.5-1.400l.8-12M10 11v5.500m4-5.500v5.5",
  reply: "M9.5 6 4 11.5 9.5 17M4.5 11.500H13c4 0 7 2.2 7 6.5",
  forward: "M14.5 6 20 11.5 14.5 17M19.5 11.500H11c-4 0-7 2.2-7 6.5",
  pencil: "M4 20l1-4.500L16.5 4a1.8 1.8 0 0 1 2.6 0l.9.900a1.8 1.8 0 0 1 0 2.600L8.5 19 4 20Z",
  copy: "M9 9h10v11H9zM5 15V4h10",
  sun: "M12 16.500a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM12 2v2m0 16v2M2 12h2m16 0h2M5 5l1.4 1.400m11.2 11.200L19 19M5 19l1.4-1.400M17.6 6.4 19 5",
  moon: "M20 14.500A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.500Z",
  down: "M6 9.500l6 6 6-6",
  file: "M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8l-5-5Zm0 0v5h5",
  download: "M12 4v11m0 0-4.5-4.500M12 15l4.5-4.500M5 20h14",
  user: "M12 11.500a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.500c0-4 3.4-6 7.5-6s7.5 2 7.5 6",
  group: "M9 11.500a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6.5 8c0-3.5 2.9-5.3 6.5-5.300s6.5 1.8 6.5 5.300M16 4.800a3.3 3.3 0 0 1 0 6.400m2.2 3.400c2 .7 3.3 2.3 3.3 4.9",
  block: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.7 5.700l12.6 12.6",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.5 14.500s1.2 2 3.5 2 3.5-2 3.5-2M9 9.500h.01M15 9.500h.01",
  keyboard: "M3.5 6.500h17v11h-17zM7 10h.01M10.3 10h.01M13.7 10h.01M17 10h.01M8 14h8",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4L15 13l5 4M15.5 9.500h.01",
};

export function icon(name) {
  if (name === "play" || name === "pause") return solid(name);
  const svg = shape();
  svg.setAttribute("class", `icon icon-${name}`);
  svg.append(path(PATHS[name]));
  return svg;
}

function solid(name) {
  const svg = shape();
  svg.setAttribute("class", "icon solid");
  svg.append(path(name === "play" ? "M8 5.200v13.600c0 .8.9 1.3 1.6.8l10-6.800a1 1 0 0 0 0-1.600l-10-6.800C8.9 3.9 8 4.4 8 5.200Z" : "M6.5 5h3.700v14H6.500zM13.8 5h3.700v14h-3.700z"));
  return svg;
}

function shape() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

function path(d) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "path");
  element.setAttribute("d", d);
  return element;
}

export function avatar(id, name, bot = false) {
  const letters = name.split(/\s+/).map((word) => [...word][0] ?? "").slice(0, 2).join("").toUpperCase();
  return h("span", { class: `avatar tint${Math.abs(id) % 7}${bot ? " bot" : ""}`, "aria-hidden": "true" }, bot ? waves() : letters);
}

function waves() {
  const svg = shape();
  svg.setAttribute("class", "icon waves");
  svg.append(path("M5 10.500v3M8.5 7.500v9M12 5v14M15.5 8v8M19 10.500v3"));
  return svg;
}
