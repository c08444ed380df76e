/* What came out against what differed: one line for each run over all parameters, and a small chart for each parameter.
   It stands before page.js, whose `data`, `runs`, `element`, ... its functions use once the page has started. */

const LINES = { height: 330, top: 42, bottom: 14, narrowest: 104 }; // px; narrowest: from one axis to the next
const SMALL = { height: 176, top: 10, bottom: 24, left: 50, right: 12 };
const MANY_NAMES = 20; // a parameter with more of them is not drawn before it is asked for
const against = { columns: [], metrics: [], metric: null, lines: new Map(), dots: [], near: null };

// ---- what there is to draw ----------------------------------------------------------------------------------------

const valueOf = (index, column) => runs[index].cells[column.index];
const isKnown = (run) => run.state !== "broken" || data.columns.some((column, i) => column.kind === "config" && run.cells[i].text !== "");

/** Config keys with two values or more, but those of the machine; metrics and costs that two runs or more have: the table's first ones first. */
function findParameters() {
  const known = runs.filter(isKnown);
  const columns = data.columns.map((column, index) => ({ ...column, index }));
  const values = (column) => known.map((run) => run.cells[column.index]);
  for (const column of columns.filter((column) => column.kind === "config" && !column.ofMachine)) {
    const names = new Set(values(column).map(nameOf));
    if (names.size < 2) continue;
    against.columns.push({ ...column, on: column.on && (names.size <= MANY_NAMES || values(column).some(isValue)) });
  }
  const count = (column) => values(column).filter(isValue).length;
  against.metrics = columns.filter((column) => isNumber(column) && count(column) > 1).sort((a, b) => b.on - a.on || (a.kind === "cost") - (b.kind === "cost"));
  const real = against.metrics.filter((column) => column.kind !== "cost"); // sorted: the table's first
  const first = real.filter((column) => column.on || column === real[0]);
  const decides = against.metrics.find((column) => column.index === data.decides);
  against.metric = decides ?? first.reduce((most, column) => (most && count(most) >= count(column) ? most : column), null);
}

/** From the worst (0) to the best (1) as a color of the theme. */
function shade(part) {
  const better = against.metric.better === "min" ? 1 - part : part;
  const [upper, lower, weight] = better < 0.5 ? [1, 0, 2 * better] : [2, 1, 2 * better - 1];
  return `color-mix(in oklab, var(--scale-${upper}) ${(100 * weight).toFixed(1)}%, var(--scale-${lower}))`;
}

// ---- one line for each run ----------------------------------------------------------------------------------------

function drawParameters() {
  if ($("parameters").hidden) return;
  const visible = seen().filter((index) => isKnown(runs[index]));
  const scale = scaleOf(visible.map((index) => valueOf(index, against.metric)).filter(isValue), 0, 1);
  const ranked = visible.filter((index) => isValue(valueOf(index, against.metric))).sort((a, b) => worst(a) - worst(b));
  const without = visible.filter((index) => !isValue(valueOf(index, against.metric)));
  const colors = new Map(ranked.map((index) => [index, shade(scale.part(valueOf(index, against.metric)))]));
  const columns = against.columns.filter((column) => column.on);
  Object.assign(against, { ranked, near: null });
  const shown = without.length === 0 ? "" : `${without.length} of ${visible.length} have no ${columnName(against.metric)}: grey, and not in the small charts`;
  $("without").textContent = shown;
  drawLines(columns, [...without, ...ranked], colors);
  $("small-charts").replaceChildren();
  against.dots = columns.map((column) => drawSmall(column, ranked, colors));
  $("parameter-tip").hidden = true;
}

const worst = (index) => valueOf(index, against.metric).by * (against.metric.better === "min" ? -1 : 1);
const words = (column) => column.label.replace(/\._target_$/, "");

function drawLines(columns, indices, colors) {
  const holder = $("lines");
  const axes = [...columns, against.metric];
  const gap = Math.max(LINES.narrowest, Math.floor(holder.clientWidth / axes.length));
  const svg = element("svg", { width: gap * axes.length, height: LINES.height });
  const [low, high] = [LINES.height - LINES.bottom, LINES.top];
  const scales = axes.map((column) => {
    const cells = indices.map((index) => valueOf(index, column));
    return scaleOf(column === against.metric ? cells.filter(isValue) : cells, low, high, { ratios: column.log });
  });
  const x = (i) => gap * (i + 0.5);
  const group = element("g", { class: "runs", fill: "none", "stroke-width": MANY ? 1.3 : 2, "stroke-linejoin": "round" });
  against.lines = new Map(indices.map((index) => {
    const reached = colors.has(index) ? axes : columns; // without a value it ends before the metric
    return [index, reached.map((column, i) => [x(i), scales[i].at(valueOf(index, column), { run: MANY ? index : null, reach: 12 })])];
  }));
  for (const [index, points] of against.lines) group.append(linePath(points, colors.get(index)));
  svg.append(group, element("g", { class: "near", fill: "none", "stroke-width": 3.5 }));
  axes.forEach((column, i) => svg.append(lineAxis(column, scales[i], x(i), i === columns.length ? gap / 2 : gap)));
  holder.replaceChildren(svg);
}

const linePath = (points, color) => element("path", { d: `M${points.map((point) => point.map((value) => value.toFixed(1)).join(" ")).join("L")}`, style: `stroke: ${color ?? "var(--without)"}` });

function lineAxis(column, scale, x, room) {
  const [low, high] = [LINES.height - LINES.bottom, LINES.top];
  const isMetric = column === against.metric;
  const name = isMetric ? columnName(column) : words(column);
  const cut = Math.max(name.lastIndexOf("."), name.lastIndexOf("/")) + 1;
  const bold = "600 12px system-ui";
  const way = { min: "less is better", max: "more is better" }[column.better] ?? "";
  const width = isMetric ? 2 * room : room;
  const axis = element("g", { class: "axis" }, element("title", {}, [name, scale.log && "logarithmic", isMetric && way].filter(Boolean).join(", ")));
  axis.append(element("text", { x, y: 13, class: "path" }, clipped(name.slice(0, cut), width - 8)));
  axis.append(element("text", { x, y: 28, class: "name" }, clipped(name.slice(cut), width - 8, bold)));
  if (isMetric) for (const i of range(0, 39)) axis.append(element("line", { x1: x, x2: x, y1: low + ((high - low) * i) / 40, y2: low + ((high - low) * (i + 1)) / 40, style: `stroke: ${shade((i + 0.5) / 40)}; stroke-width: 5` }));
  else axis.append(element("line", { x1: x, x2: x, y1: low, y2: high }));
  for (const tick of spaced(scale.ticks, () => 6.5)) {
    axis.append(element("line", { x1: x - 3, x2: x + 3, y1: tick.at, y2: tick.at }));
    axis.append(element("text", { x: x + 6, y: tick.at + 4, class: "tick" }, clipped(tick.text, room - 16)));
  }
  return axis;
}

// ---- a small chart for each parameter -----------------------------------------------------------------------------

function drawSmall(column, indices, colors) {
  const holder = element("div", { class: "plot" });
  const name = `${columnName(against.metric)} against ${column.label}`;
  $("small-charts").append(element("div", { class: "small-chart", "data-parameter": column.label }, element("h3", { title: name }, words(column)), holder));
  const width = holder.clientWidth;
  const svg = element("svg", { width, height: SMALL.height, role: "img", "aria-label": name });
  const cells = indices.map((index) => valueOf(index, column));
  const [across, up] = [scaleOf(cells, SMALL.left + 8, width - SMALL.right, { ratios: column.log }), scaleOf(indices.map((index) => valueOf(index, against.metric)), SMALL.height - SMALL.bottom - 6, SMALL.top)];
  const names = across.ticks.length > new Set(cells.filter(across.inSlot).map(nameOf)).size ? 90 : Math.abs(across.slot) - 6;
  svg.append(...chartAxes(across, up, width, { room: Math.max(names, 24) }));
  const dots = new Map();
  indices.forEach((index, i) => {
    const place = [across.at(cells[i], { run: MANY ? index : null }), up.at(valueOf(index, against.metric))];
    const dot = element("circle", { cx: place[0].toFixed(1), cy: place[1].toFixed(1), r: MANY ? 3 : 4, style: `fill: ${colors.get(index)}` });
    dots.set(index, { place, dot });
    svg.append(dot);
  });
  svg.append(...medians(indices, cells, across, up));
  holder.append(svg);
  svg.addEventListener("mousemove", (event) => point(nearestDot(dots, event.offsetX, event.offsetY), event));
  return dots;
}

/** The grid, its numbers, and the base of a small chart; a text has `room` px at the base. */
function chartAxes(across, up, width, { room = 90 } = {}) {
  const parts = [];
  for (const tick of spaced(up.ticks, () => 8)) {
    parts.push(element("line", { class: "grid", x1: SMALL.left, x2: width, y1: tick.at, y2: tick.at }));
    parts.push(element("text", { class: "tick end", x: SMALL.left - 5, y: tick.at + 4 }, tick.text));
  }
  const ticks = across.ticks.map((tick) => ({ ...tick, text: clipped(tick.text, room) }));
  for (const tick of spaced(ticks, (text) => widthOf(text) / 2 + 3)) {
    const half = widthOf(tick.text) / 2;
    parts.push(element("text", { class: "tick middle", x: Math.min(Math.max(tick.at, half), width - half), y: SMALL.height - 8 }, tick.text));
  }
  const bottom = SMALL.height - SMALL.bottom;
  return [...parts, element("line", { class: "base", x1: SMALL.left, x2: width, y1: bottom, y2: bottom })];
}

/** In a strip, a line at the median of each name that three runs or more have. */
function medians(indices, cells, across, up) {
  const strips = new Map();
  cells.forEach((cell, i) => { if (across.inSlot(cell)) strips.set(nameOf(cell), [...(strips.get(nameOf(cell)) ?? []), i]); });
  return [...strips.values()].filter((strip) => strip.length > 2).map((strip) => {
    const values = strip.map((i) => valueOf(indices[i], against.metric).by).sort((a, b) => a - b);
    const [x, y] = [across.at(cells[strip[0]]), up.at({ by: (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2 })];
    const half = Math.min(Math.abs(across.slot) * 0.38, 40);
    return element("line", { class: "median", x1: x - half, x2: x + half, y1: y, y2: y });
  });
}

// ---- pointing at a run --------------------------------------------------------------------------------------------

function nearestDot(dots, x, y) {
  const distance = (index) => Math.hypot(dots.get(index).place[0] - x, dots.get(index).place[1] - y);
  return nearest([...dots.keys()], distance, 16);
}

/** The run whose line passes nearest above or beneath; of lines that lie on one another, the best. */
function nearestLine(x, y) {
  const distance = (index) => {
    const points = against.lines.get(index);
    const i = points.findIndex((point) => point[0] >= x);
    if (i < 1) return points.length && Math.abs((i < 0 ? points.at(-1) : points[0])[0] - x) < 40 ? Math.abs((i < 0 ? points.at(-1) : points[0])[1] - y) : Infinity;
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    return Math.abs(y0 + ((y1 - y0) * (x - x0)) / (x1 - x0) - y) / Math.hypot(1, (y1 - y0) / (x1 - x0));
  };
  return nearest([...against.lines.keys()], distance, 12);
}

function nearest(indices, distance, reach) {
  let [found, least] = [null, reach];
  for (const index of indices) {
    const away = distance(index);
    if (away <= least) [found, least] = [index, away];
  }
  return found;
}

/** Of a config's numbers six digits: what a sampler chose has sixteen. */
const plain = (cell, column) => (isValue(cell) && column.kind === "config" && !Number.isInteger(cell.by) ? String(Number(cell.by.toPrecision(6))) : cell.text || "none");

/** Names a run and its values beside the cursor, and brings it to the front everywhere. */
function point(index, event) {
  if (index !== against.near) highlight(index);
  const tip = $("parameter-tip");
  tip.hidden = index === null;
  if (index === null) return;
  const row = (column) => element("tr", {}, element("td", {}, column === against.metric ? columnName(column) : words(column)), element("td", { class: "number" }, plain(valueOf(index, column), column)));
  const columns = [...against.columns.filter((column) => column.on), against.metric];
  tip.replaceChildren(element("div", {}, swatch(index), " ", element("b", {}, shortName(runs[index])), " ", element("span", { class: `state ${runs[index].state}` }, runs[index].state)), element("table", {}, ...columns.map(row)));
  placeTip(tip, $("parameters"), event);
}

/** Beside the cursor, within a section. */
function placeTip(tip, section, event) {
  const box = section.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const left = x + 16 + tip.offsetWidth < box.width ? x + 16 : Math.max(0, x - tip.offsetWidth - 14);
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 12, box.height - tip.offsetHeight))}px`;
}

/** Page.js calls it whenever a run is brought to the front, from wherever. */
function highlightParameters(index) {
  against.near = index;
  const svg = $("lines").querySelector("svg");
  if (!svg) return;
  const [group, near] = [svg.querySelector(".runs"), svg.querySelector(".near")];
  const points = against.lines.get(index);
  group.classList.toggle("faint", points !== undefined);
  const order = [...against.lines.keys()].indexOf(index);
  near.replaceChildren(...(points ? [linePath(points, group.children[order].style.stroke)] : []));
  for (const dots of against.dots) {
    for (const [other, { dot }] of dots) dot.classList.toggle("faint", dots.has(index) && other !== index);
    if (dots.has(index)) dots.get(index).dot.parentNode.append(dots.get(index).dot);
  }
}

/** Arrow keys go through the runs from the best to the worst. */
function onLinesKey(event) {
  const best = [...against.ranked].reverse();
  const at = best.indexOf(against.near);
  const moves = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: best.length - 1 };
  if (event.key === "Escape") point(null);
  else if (event.key in moves && best.length) {
    const index = best[Math.max(0, Math.min(moves[event.key], best.length - 1))];
    const [x, y] = against.lines.get(index).at(-1);
    const box = $("lines").querySelector("svg").getBoundingClientRect();
    point(index, { clientX: box.left + x, clientY: box.top + y });
  } else return;
  event.preventDefault();
}

function startParameters() {
  findParameters();
  $("parameters").hidden = against.columns.length === 0 || against.metric === null;
  if ($("parameters").hidden) return;
  against.metrics.forEach((column, i) => $("against").append(element("option", { value: i, selected: column === against.metric }, columnName(column))));
  $("against").addEventListener("change", (event) => { against.metric = against.metrics[event.target.value]; drawParameters(); });
  choices($("parameter-choice"), against.columns, (column) => column.label, drawParameters);
  const lines = $("lines");
  lines.addEventListener("mousemove", (event) => {
    const box = lines.querySelector("svg").getBoundingClientRect();
    point(nearestLine(event.clientX - box.left, event.clientY - box.top), event);
  });
  lines.addEventListener("keydown", onLinesKey);
  lines.addEventListener("focusout", () => point(null));
  $("parameters").addEventListener("mouseleave", () => point(null));
  let width = lines.clientWidth;
  new ResizeObserver(() => { if (lines.clientWidth !== width) { width = lines.clientWidth; drawParameters(); } }).observe(lines);
}
