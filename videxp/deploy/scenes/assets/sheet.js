"use strict";
/* The contact sheet: `data` is what videxp/deploy/scenes/page.py wrote. Frames count from 0; the last of a shot, and of a
   transition, is in it. */

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const probabilities = Uint8Array.from(atob(data.probabilities), (letter) => letter.charCodeAt(0)); // of 255
const FRAMES_PER_ROW = 250; // at least
const MOST_ROWS = 5;
const state = { page: 0, here: -1 };
const pages = Math.ceil(data.shots.length / data.perPage);

const SVG = new Set(["svg", "g", "line", "path", "circle", "rect", "text", "title"]);
/** element("td", {class: "x", onclick: f}, child, "text") */
function element(tag, attributes = {}, ...children) {
  const node = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// ---- marks: told apart by shape, and by color ------------------------------------------------------------------------

const KINDS = {
  found: { word: "found", draw: (x, y) => [path(`M${x} ${y - 5}l5 5l-5 5l-5 -5z`, "symbol")] },
  hit: { word: "hit", draw: (x, y) => [element("circle", { class: "symbol", cx: x, cy: y, r: 4.5 })] },
  missed: { word: "missed", draw: (x, y) => [path(`M${x - 5.5} ${y - 4.5}h11l-5.5 9.5z`, "symbol open")] },
  false: { word: "false alarm", draw: (x, y) => [path(`M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, "symbol stroke")] },
};
const path = (d, kind) => element("path", { d, class: kind });

function symbol(kind) {
  return element("svg", { viewBox: "0 0 14 14", class: kind, "aria-hidden": "true" }, ...KINDS[kind].draw(7, 7));
}

/** Of a transition: its place in the picture at `y`, with a line down or up to the curve, and its frames' span. */
function marked(transition, { x, y, base, width }) {
  const middle = x(transition.end + 0.5);
  const frames = transition.first === transition.last ? `after frame ${transition.end}` : `frames ${transition.first} to ${transition.last}`;
  const sure = transition.probability === undefined ? "" : `, ${transition.probability.toFixed(3)}`;
  return element(
    "g", { class: transition.kind },
    element("title", {}, `${KINDS[transition.kind].word}: ${frames}, ${clock(transition.seconds)}${sure}`),
    element("line", { class: "stem", x1: middle, x2: middle, y1: y, y2: base }),
    element("rect", { class: "span", x: x(transition.first), width: Math.max(1, width(transition.last - transition.first + 1)), y: Math.min(y, base), height: Math.abs(base - y) }),
    ...KINDS[transition.kind].draw(middle, y),
  );
}

function clock(seconds) {
  const whole = Math.floor(seconds / 60);
  const text = `${String(whole % 60).padStart(2, "0")}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
  return data.seconds < 3600 ? text : `${Math.floor(whole / 60)}:${text}`;
}

// ---- the time line ---------------------------------------------------------------------------------------------------

/** The greatest probability in each of `columns` parts of [first, end). */
function peaks(first, end, columns) {
  const found = new Array(columns).fill(0);
  for (let i = first; i < end; i++) {
    const column = Math.floor(((i - first) / (end - first)) * columns);
    if (probabilities[i] > found[column]) found[column] = probabilities[i];
  }
  return found;
}

/** Frames [first, end) in a picture of `width` x `height`: the curve, the true transitions above it and the found ones below. */
function strip(first, end, width, height, { marks, ticks }) {
  const x = (frame) => ((frame - first) / (end - first)) * width;
  const top = marks ? (data.truth ? 22 : 6) : 2;
  const bottom = height - (marks ? 36 : 2);
  const y = (share) => bottom - share * (bottom - top);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, height, width: "100%", preserveAspectRatio: "none", role: "img" });
  svg.append(element("line", { class: "base", x1: 0, x2: width, y1: bottom, y2: bottom }));
  if (probabilities.length) {
    const columns = Math.min(Math.round(width), end - first);
    const heights = peaks(first, end, columns);
    const step = width / columns;
    svg.append(path(`M0 ${bottom}` + heights.map((p, i) => `L${(i * step).toFixed(1)} ${y(p / 255).toFixed(1)}h${step.toFixed(2)}`).join("") + `L${width} ${bottom}z`, "curve"));
    if (marks) svg.append(element("line", { class: "threshold", x1: 0, x2: width, y1: y(data.threshold), y2: y(data.threshold) }));
  }
  if (!marks) return svg;
  for (let i = 0; i < ticks; i++) {
    const frame = Math.round(first + ((end - first) * i) / ticks);
    const shot = shotOf(frame);
    const seconds = shot.start + ((shot.end - shot.start) * (frame - shot.first)) / (shot.last + 1 - shot.first);
    svg.append(element("line", { class: "tick", x1: x(frame), x2: x(frame), y1: bottom, y2: height }));
    svg.append(element("text", { x: x(frame) + 4, y: height - 4 }, clock(seconds)));
  }
  const inside = (transition) => transition.last >= first && transition.first < end;
  const scale = { x, width: (frames) => (frames / (end - first)) * width };
  for (const transition of data.true.filter(inside)) svg.append(marked(transition, { ...scale, y: 9, base: top }));
  for (const transition of data.found.filter(inside)) svg.append(marked(transition, { ...scale, y: bottom + 11, base: bottom }));
  return svg;
}

function shotOf(frame) {
  let low = 0;
  for (let high = data.shots.length - 1; low < high; ) {
    const middle = (low + high + 1) >> 1;
    if (data.shots[middle].first <= frame) low = middle;
    else high = middle - 1;
  }
  return data.shots[low];
}
const pageOf = (frame) => Math.floor((shotOf(frame).number - 1) / data.perPage);
const shotsOfPage = () => data.shots.slice(state.page * data.perPage, (state.page + 1) * data.perPage);

function drawLine() {
  const width = Math.max(280, $("rows").clientWidth);
  const shown = shotsOfPage();
  const [first, end] = [shown[0].first, shown[shown.length - 1].last + 1];
  const rows = Math.min(MOST_ROWS, Math.max(1, Math.ceil((end - first) / FRAMES_PER_ROW)));
  const bounds = Array.from({ length: rows + 1 }, (_, i) => Math.round(first + ((end - first) * i) / rows));
  const ticks = Math.max(2, Math.floor(width / 130));
  $("rows").replaceChildren(...bounds.slice(1).map((stop, i) => strip(bounds[i], stop, width, 104, { marks: true, ticks })));
  $("whole").hidden = pages === 1;
  if (pages === 1) return;
  const whole = strip(0, data.frames, width, 40, { marks: false });
  const x = (frame) => (frame / data.frames) * width;
  for (const transition of [...data.true, ...data.found].filter((each) => each.kind === "missed" || each.kind === "false")) {
    whole.append(element("g", { class: transition.kind }, element("line", { class: "stem", x1: x(transition.first), x2: x(transition.first), y1: 0, y2: 40 })));
  }
  whole.append(element("rect", { class: "window", x: x(first), width: Math.max(3, x(end) - x(first)), y: 1, height: 38, rx: 3 }));
  $("whole").replaceChildren(whole);
  $("whole").setAttribute("aria-valuemin", 1);
  $("whole").setAttribute("aria-valuemax", pages);
  $("whole").setAttribute("aria-valuenow", state.page + 1);
}

// ---- the shots -------------------------------------------------------------------------------------------------------

function figure(shot) {
  const picture = shot.picture ? element("img", { src: shot.picture, alt: `shot ${shot.number}`, loading: "lazy" }) : element("div", { class: "none" }, "no picture");
  const opening = data.found.find((transition) => transition.opens === shot.number);
  const notes = data.true.filter((transition) => transition.kind === "missed" && transition.end >= shot.first && transition.end <= shot.last);
  const lines = [
    element("div", {}, ...(opening ? [symbol(opening.kind)] : []), element("b", {}, String(shot.number)), `${clock(shot.start)} – ${clock(shot.end)}`),
    element("div", { class: "muted" }, `frames ${shot.first}–${shot.last} (${shot.last - shot.first + 1})`),
    ...(opening && opening.kind === "false" ? [element("div", { class: "note" }, "false alarm")] : []),
    ...notes.map((transition) => element("div", { class: "note" }, symbol("missed"), `missed at ${clock(transition.seconds)}`)),
  ];
  return element("figure", { id: `shot-${shot.number}`, class: shot.number === state.here ? "here" : null }, picture, element("figcaption", {}, ...lines));
}

function redraw() {
  const shown = shotsOfPage();
  $("place").textContent = pages > 1 ? `${shown[0].number.toLocaleString("en")}–${shown[shown.length - 1].number.toLocaleString("en")} of ${data.shots.length.toLocaleString("en")}` : `${data.shots.length}`;
  for (const id of ["back", "on"]) $(id).hidden = pages === 1;
  $("back").disabled = state.page === 0;
  $("on").disabled = state.page === pages - 1;
  $("shots").replaceChildren(...shown.map(figure));
  drawLine();
}

function turnTo(page, here = -1) {
  state.page = Math.min(pages - 1, Math.max(0, page));
  state.here = here;
  redraw();
}

/** The next transition that was missed or falsely found, after the one that is shown; then the first again. */
let lastMistake = -1;
function nextMistake() {
  const mistakes = [...data.true, ...data.found].filter((transition) => transition.kind === "missed" || transition.kind === "false").sort((a, b) => a.first - b.first);
  const next = mistakes.find((transition) => transition.first > lastMistake) || mistakes[0];
  lastMistake = next.first;
  const shot = next.opens ? data.shots[next.opens - 1] : shotOf(next.end);
  turnTo(Math.floor((shot.number - 1) / data.perPage), shot.number);
  $(`shot-${shot.number}`).scrollIntoView({ block: "center" });
}

function setTheme(choice) {
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
  $("theme").textContent = `colors: ${choice}`;
  $("theme").dataset.choice = choice;
}

function start() {
  $("title").textContent = data.name;
  $("summary").textContent = data.summary;
  $("left-out").textContent = data.leftOut;
  const kinds = data.truth ? ["hit", "missed", "false"] : ["found"];
  $("legend").append(...kinds.map((kind) => element("span", {}, symbol(kind), KINDS[kind].word)));
  if (data.truth) $("legend").append(element("span", {}, "above the curve: true; below it: found"));
  document.documentElement.style.setProperty("--aspect", data.aspect);
  $("mistake").hidden = ![...data.true, ...data.found].some((transition) => transition.kind === "missed" || transition.kind === "false");
  $("back").addEventListener("click", () => turnTo(state.page - 1));
  $("on").addEventListener("click", () => turnTo(state.page + 1));
  $("mistake").addEventListener("click", nextMistake);
  $("size").addEventListener("input", () => $("shots").style.setProperty("--size", `${$("size").value}px`));
  $("whole").addEventListener("click", (event) => {
    const box = $("whole").getBoundingClientRect();
    turnTo(pageOf(Math.floor(((event.clientX - box.left) / box.width) * data.frames)));
  });
  $("whole").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -pages, End: pages }[event.key];
    if (step) turnTo(state.page + step);
  });
  setTheme("auto");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme($("theme").dataset.choice));
  $("theme").addEventListener("click", () => setTheme({ auto: "dark", dark: "light", light: "auto" }[$("theme").dataset.choice]));
  addEventListener("resize", drawLine);
  redraw();
}

start();
