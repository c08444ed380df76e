"use strict";
/* The compare page: `data` is what videxp/runs/page.py wrote. A run is known by its index everywhere. */

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const runs = data.runs;
const state = {
  shown: new Set(runs.keys()), // chosen by their boxes
  search: "",
  sort: null, // {column, way: 1 | -1}; null: as the runs were given
  axis: "step",
  smoothing: 0,
  log: false,
};
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

const SVG = new Set(["svg", "g", "line", "path", "circle", "text", "title"]);
/** element("td", {class: "x", onclick: f}, child, "text") */
function element(tag, attributes = {}, ...children) {
  const node = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// ---- colors: ten that stay apart in light and dark, then dashed, then dotted ---------------------------------------

const COLORS = ["#2f7de1", "#e2731d", "#17a37a", "#d1447c", "#8b63e6", "#b58a00", "#14a0b8", "#e04f45", "#5f8f2b", "#8d7a6b"];
const DASHES = [[], [7, 4], [2, 3]];
const color = (run) => COLORS[run % COLORS.length];
const dash = (run) => DASHES[Math.floor(run / COLORS.length) % DASHES.length];

function swatch(run) {
  const svg = element("svg", { class: "swatch", viewBox: "0 0 28 10", "aria-hidden": "true" });
  svg.append(element("line", { x1: 0, x2: 28, y1: 5, y2: 5, stroke: color(run), "stroke-width": 3.5, "stroke-dasharray": dash(run).join(" ") || null }));
  return svg;
}

// ---- names: the last folder's, where that tells the runs apart ------------------------------------------------------

const lastFolder = (name) => name.slice(name.lastIndexOf("/") + 1);
const namesDiffer = new Set(runs.map((run) => lastFolder(run.name))).size === runs.length;
const shortName = (run) => (namesDiffer ? lastFolder(run.name) : run.name);
const MANY = runs.length > 12;

// ---- which runs are seen ------------------------------------------------------------------------------------------

function matches(run) {
  const text = [run.name, run.state, run.trouble, ...run.cells.map((cell) => cell.text + " " + cell.full)].join(" ").toLowerCase();
  return state.search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
const found = () => order().filter((index) => matches(runs[index]));
const seen = () => found().filter((index) => state.shown.has(index));

/** Sorted run indices; those without a value come last either way. */
function order() {
  const indices = [...runs.keys()];
  if (state.sort === null) return indices;
  const { column, way } = state.sort;
  const by = (index) => (column < 0 ? runs[index].name : runs[index].cells[column].by);
  return indices.sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    return way * (typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true })) || a - b;
  });
}

// ---- the table ----------------------------------------------------------------------------------------------------

const columnName = (column) => (({ last: "last ", best: "best " })[column.kind] ?? "") + column.label;
const isNumber = (column) => ["last", "best", "axis", "cost"].includes(column.kind);

function drawTable() {
  const columns = data.columns.map((column, index) => ({ ...column, index })).filter((column) => column.on);
  const head = element("tr", {}, heading({ label: "run", kind: "run", copies: [], index: -1 }, null));
  columns.forEach((column, i) => head.append(heading(column, columns[i - 1])));
  const body = element("tbody");
  for (const index of found()) body.append(tableRow(index, columns));
  const focused = document.activeElement?.closest?.("#table [data-focus]")?.dataset.focus;
  $("table").replaceChildren(element("thead", {}, head), body);
  if (focused) $("table").querySelector(`[data-focus="${focused}"]`)?.focus();
  $("sorted-by").textContent = state.sort !== null && state.sort.column === data.decides ? `sorted by ${columnName(data.columns[data.decides])}, the metric that decided` : "";
  $("shown-count").textContent = seen().length === runs.length ? "" : `${seen().length} of ${runs.length} shown below`;
}

function heading(column, before) {
  const sorted = state.sort?.column === column.index ? state.sort.way : 0;
  const split = { config: column.label.lastIndexOf("."), last: column.label.indexOf("/"), best: column.label.indexOf("/"), axis: column.label.indexOf("/") }[column.kind] + 1 || 0;
  const way = column.better === "max" ? ", more is better" : column.better === "min" ? ", less is better" : "";
  const title = column.copies.length ? `the same values: ${column.copies.join(", ")}` : `sort by ${column.label}${way}`;
  const words = [element("span", { class: "path" }, column.label.slice(0, split) || "\u00a0"), column.label.slice(split)];
  if (column.kind === "best") words.push(" best");
  if (sorted) words.push(element("span", { class: "arrow", "aria-hidden": "true" }, sorted > 0 ? " ↑" : " ↓"));
  const button = element("button", { type: "button", title, "data-focus": `h${column.index}`, onclick: () => sortBy(column) }, ...words);
  const classes = [isNumber(column) && "number", column.kind === "run" && "name", group(column) !== group(before ?? column) && "split"];
  const aria = sorted ? (sorted > 0 ? "ascending" : "descending") : "none";
  return element("th", { scope: "col", "aria-sort": aria, class: classes.filter(Boolean).join(" ") }, button);
}

const bestFirst = (column) => (column.better === "max" ? -1 : 1);
const group = (column) => (isNumber(column) ? column.kind === "cost" ? "cost" : column.label : "config");

function sortBy(column) {
  const first = bestFirst(column);
  const current = state.sort?.column === column.index ? state.sort.way : 0;
  state.sort = current === 0 ? { column: column.index, way: first } : current === first ? { column: column.index, way: -first } : null;
  redraw({ curves: false });
}

function tableRow(index, columns) {
  const run = runs[index];
  const box = element("input", { type: "checkbox", checked: state.shown.has(index), "data-focus": `r${index}`, onchange: () => choose(index) });
  const name = element("th", { scope: "row", class: "name" }, element("label", { title: run.name }, box, swatch(index), element("span", { class: "text" }, element("span", { class: "path" }, run.name.slice(0, -lastFolder(run.name).length)), lastFolder(run.name))));
  if (run.trouble) name.append(element("span", { class: "trouble", title: run.trouble }, run.trouble));
  const row = element("tr", { class: state.shown.has(index) ? "" : "off", "data-run": index, onmouseenter: () => highlight(index), onmouseleave: () => highlight(null) }, name);
  columns.forEach((column, i) => {
    const cell = run.cells[column.index];
    const classes = [isNumber(column) ? "number" : column.kind === "config" && "config", cell.best && "best", i > 0 && group(column) !== group(columns[i - 1]) && "split"];
    const content = column.kind === "state" ? element("span", { class: `state ${run.state}` }, cell.text) : cell.text;
    row.append(element("td", { class: classes.filter(Boolean).join(" "), title: cell.full || null }, content));
  });
  return row;
}

function choose(index) {
  if (!state.shown.delete(index)) state.shown.add(index);
  redraw();
}

/** Brings one run to the front in the curves and marks its row. */
function highlight(index) {
  for (const row of $("table").querySelectorAll("tbody tr")) row.classList.toggle("near", Number(row.dataset.run) === index);
  for (const chart of charts.values()) chart.plot?.setSeries(index === null ? null : index + 1, { focus: index !== null }, false);
  highlightParameters(index);
  highlightTradeoffs(index);
}

function choices(holder, items, label, onchange) {
  for (const item of items) {
    const box = element("input", { type: "checkbox", checked: item.on, onchange: () => { item.on = box.checked; onchange(); } });
    holder.append(element("label", {}, box, label(item)));
  }
}

// ---- the curves ---------------------------------------------------------------------------------------------------

const AXES = { step: 0, epoch: 1, clips_seen: 2 };
const charts = new Map(); // metric -> {card, holder, tip, plot, raw}
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** [xs, ys] of one run: rising x; rows with the same x are averaged. */
function curve(index, metric) {
  const columns = runs[index].curves[metric];
  if (!columns) return null;
  const at = new Map();
  const [x, y] = [columns[AXES[state.axis]], columns[3]];
  for (let i = 0; i < x.length; i++) {
    if (x[i] === null) continue;
    const value = state.log && y[i] !== null && y[i] <= 0 ? null : y[i];
    at.set(x[i], [...(at.get(x[i]) ?? []), value]);
  }
  const xs = [...at.keys()].sort((a, b) => a - b);
  const mean = (values) => (values.includes(null) ? null : values.reduce((a, b) => a + b, 0) / values.length);
  return xs.length ? [xs, xs.map((x) => mean(at.get(x)))] : null;
}

/** Exponential moving average without a bias towards zero at the start. */
function smooth(ys) {
  let [sum, weight] = [0, 0];
  return ys.map((y) => {
    if (y === null) return null;
    sum = state.smoothing * sum + (1 - state.smoothing) * y;
    weight = state.smoothing * weight + (1 - state.smoothing);
    return sum / weight;
  });
}

/** [all x, one row for each run (undefined: no point there, null: a gap)], as uPlot takes it; and the same unsmoothed. */
function joined(metric) {
  const visible = new Set(seen());
  const tables = [...runs.keys()].map((index) => (visible.has(index) ? curve(index, metric) : null));
  const xs = [...new Set(tables.flatMap((table) => table?.[0] ?? []))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, i) => [x, i]));
  const spread = (table, ys) => {
    const row = new Array(xs.length).fill(undefined);
    if (table) table[0].forEach((x, i) => (row[place.get(x)] = ys[i]));
    return row;
  };
  const raw = tables.map((table) => spread(table, table?.[1]));
  const smoothed = state.smoothing > 0 ? tables.map((table) => spread(table, table && smooth(table[1]))) : raw;
  return { plotted: [xs, ...smoothed], raw: [xs, ...raw] };
}

function drawCurves() {
  const visible = seen();
  const wanted = data.metrics.filter((metric) => metric.on && visible.some((index) => runs[index].curves[metric.name]));
  for (const [name, chart] of charts) {
    if (wanted.some((metric) => metric.name === name)) continue;
    chart.plot?.destroy();
    chart.watcher.disconnect();
    chart.card.remove();
    charts.delete(name);
  }
  for (const { name } of wanted) {
    if (!charts.has(name)) charts.set(name, newChart(name));
    const chart = charts.get(name);
    $("charts").append(chart.card); // in this order
    plot(chart, name);
  }
  $("no-curves").hidden = wanted.length > 0;
}

function newChart(metric) {
  const holder = element("div", { class: "plot", tabindex: 0, role: "img", "aria-label": `${metric} of the shown runs. Arrow keys move the cursor, plus and minus zoom, 0 resets.`, onkeydown: (event) => onChartKey(event, charts.get(metric)) });
  const expand = element("button", { type: "button", class: "expand", title: "as wide as the page", "aria-expanded": "false", onclick: () => {
    expand.setAttribute("aria-expanded", String(card.classList.toggle("wide")));
    expand.textContent = card.classList.contains("wide") ? "⤡" : "⤢";
  } }, "⤢");
  const tip = element("div", { class: "tip", hidden: true, role: "status" });
  const card = element("div", { class: "chart", "data-metric": metric }, element("div", {}, element("h3", {}, metric), expand), holder, tip);
  const chart = { card, holder, tip, plot: null, raw: null, watcher: null };
  chart.watcher = new ResizeObserver(() => chart.plot?.setSize(chartSize(chart)));
  chart.watcher.observe(holder);
  return chart;
}

const chartSize = (chart) => ({ width: Math.max(120, Math.floor(chart.holder.clientWidth)), height: chart.card.classList.contains("wide") ? 460 : 220 });

function plot(chart, metric) {
  const { plotted, raw } = joined(metric);
  chart.raw = state.smoothing > 0 ? raw : null;
  const key = `${state.log}`;
  if (chart.plot && chart.key === key) {
    chart.plot.setData(plotted, zoom === null);
    if (zoom !== null) chart.plot.setScale("x", zoom);
    return;
  }
  chart.plot?.destroy();
  chart.key = key;
  const axis = { stroke: () => style("--muted"), grid: { stroke: () => style("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui", gap: 4 };
  const options = {
    ...chartSize(chart),
    legend: { show: false },
    scales: { x: { time: false }, y: state.log ? { distr: 3 } : { range: { min: { pad: 0.06 }, max: { pad: 0.06 } } } },
    axes: [{ ...axis, size: 26, values: (_, ticks) => ticks.map(short) }, { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) }],
    series: [{}, ...runs.map((run, index) => ({ label: run.name, stroke: color(index), width: MANY ? 1.4 : 1.9, dash: dash(index), spanGaps: false, points: MANY ? { show: false } : { size: 5 } }))],
    focus: { alpha: 0.18 },
    cursor: { y: false, focus: { prox: 24 }, points: { size: 6, one: MANY }, drag: { x: true, y: false, dist: 4 }, sync: { key: "curves", scales: ["x", null], setSeries: true } },
    hooks: {
      setCursor: [(u) => drawTip(chart, u)],
      setSeries: [(u, index) => { chart.near = index === null ? null : index - 1; if (isPointed(chart)) drawTip(chart, u); }],
      setScale: [(u, scale) => { if (scale === "x") noteZoom(u); }],
      drawAxes: [(u) => drawRaw(chart, u)],
    },
  };
  chart.plot = new uPlot(options, plotted, chart.holder);
  if (zoom !== null) chart.plot.setScale("x", zoom);
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e4) return Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);
  return size !== 0 && size < 1e-3 ? value.toExponential(1).replace(".0e", "e").replace("e-", "e−") : String(Number(value.toPrecision(6)));
}
const precise = (value) => (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential(3) : value.toFixed(4));

/** What was logged, faint behind the smoothed curves. */
function drawRaw(chart, u) {
  if (!chart.raw) return;
  const context = u.ctx;
  context.save();
  context.beginPath();
  context.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  context.clip();
  context.globalAlpha = MANY ? 0.08 : 0.22;
  context.lineWidth = devicePixelRatio;
  chart.raw.slice(1).forEach((row, index) => {
    context.strokeStyle = color(index);
    context.beginPath();
    let pen = false;
    row.forEach((y, i) => {
      if (y === undefined) return;
      if (y === null) return void (pen = false);
      const [left, top] = [u.valToPos(chart.raw[0][i], "x", true), u.valToPos(y, "y", true)];
      pen ? context.lineTo(left, top) : context.moveTo(left, top);
      pen = true;
    });
    context.stroke();
  });
  context.restore();
}

// Zoom is shared: a drag in one chart shows the same steps in all.
let zoom = null;
function noteZoom(u) {
  const [xs] = u.data;
  const { min, max } = u.scales.x;
  if (!xs.length || min == null) return;
  const whole = [...charts.values()].every((chart) => !chart.plot || !chart.plot.data[0].length || (min <= chart.plot.data[0][0] && max >= chart.plot.data[0].at(-1)));
  zoom = whole ? null : { min, max };
  $("reset-zoom").hidden = zoom === null;
}

function setZoom(range) {
  zoom = range;
  for (const { plot } of charts.values()) {
    if (!plot?.data[0].length) continue;
    plot.setScale("x", range ?? { min: plot.data[0][0], max: plot.data[0].at(-1) });
  }
  zoom = range;
  $("reset-zoom").hidden = range === null;
}

const isPointed = (chart) => chart.holder.matches(":hover") || chart.holder === document.activeElement;

/** Each run's value at the cursor, greatest first: ten of them, around the run that is pointed at. */
function drawTip(chart, u) {
  const { left, top, idx } = u.cursor;
  if (idx === null || idx === undefined || left < 0 || !isPointed(chart)) return void (chart.tip.hidden = true);
  const at = (index) => u.data[index + 1][u.cursor.idxs[index + 1]]; // of the run's point nearest to the cursor
  const values = seen().map((index) => ({ index, value: at(index) })).filter(({ value }) => value !== undefined && value !== null);
  values.sort((a, b) => b.value - a.value);
  const near = values.findIndex(({ index }) => index === chart.near);
  const start = Math.max(0, Math.min(near < 0 ? 0 : near - 5, values.length - 10));
  const rows = values.slice(start, start + 10).map(({ index, value }) =>
    element("tr", { class: index === chart.near ? "near" : "" }, element("td", {}, swatch(index)), element("td", {}, shortName(runs[index])), element("td", { class: "number" }, precise(value))));
  const more = values.length > rows.length ? [element("div", { class: "muted" }, `and ${values.length - rows.length} more`)] : [];
  chart.tip.replaceChildren(element("div", { class: "muted" }, `${axisLabel()} ${short(u.data[0][idx])}`), element("table", {}, ...rows), ...more);
  chart.tip.hidden = values.length === 0;
  // Beside the cursor, over neighboring charts if need be; where the screen is narrow, below the chart.
  const { tip, holder, card } = chart;
  const cursor = holder.offsetLeft + u.bbox.left / devicePixelRatio + left;
  const room = document.documentElement.clientWidth - card.getBoundingClientRect().left;
  const beside = cursor + 16 + tip.offsetWidth < room ? cursor + 16 : cursor - tip.offsetWidth - 14;
  const narrow = beside + card.getBoundingClientRect().left < 0;
  tip.style.left = `${narrow ? 0 : beside}px`;
  tip.style.top = `${narrow ? card.clientHeight : holder.offsetTop + Math.max(0, Math.min(top - 20, holder.clientHeight - tip.offsetHeight))}px`;
}

const axisLabel = () => state.axis.replace("_", " ");

function onChartKey(event, chart) {
  const u = chart.plot;
  const [xs] = u.data;
  if (!xs.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const { min, max } = u.scales.x;
  const first = xs.findIndex((x) => x >= min);
  const last = xs.findLastIndex((x) => x <= max);
  const at = u.cursor.idx ?? first;
  const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: first, End: last, PageUp: at - 10, PageDown: at + 10 };
  const middle = xs[Math.max(first, Math.min(at, last))];
  if (event.key in moves) {
    const to = Math.max(first, Math.min(moves[event.key], last));
    u.setCursor({ left: u.valToPos(xs[to], "x"), top: u.bbox.height / devicePixelRatio / 2 });
  } else if (event.key === "+" || event.key === "=") {
    const half = (max - min) / 4;
    setZoom({ min: Math.max(xs[0], middle - half), max: Math.min(xs.at(-1), middle + half) });
  } else if (event.key === "-" || event.key === "−") {
    const half = max - min;
    const [low, high] = [Math.max(xs[0], middle - half), Math.min(xs.at(-1), middle + half)];
    setZoom(low <= xs[0] && high >= xs.at(-1) ? null : { min: low, max: high });
  } else if (event.key === "0" || event.key === "Escape") setZoom(null);
  else return;
  event.preventDefault();
}

// ---- the samples --------------------------------------------------------------------------------------------------

let playing = !still;

function drawSamples() {
  const visible = seen();
  const names = [...new Set(visible.flatMap((index) => runs[index].samples.map((sample) => sample.name)))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  $("gallery").replaceChildren(...names.map((name) => {
    const figures = visible.map((index) => figureOf(index, name)).filter(Boolean);
    return element("div", { class: "sample" }, element("h3", {}, name), element("div", { class: "strip" }, ...figures));
  }));
  if (!names.length) $("gallery").append(element("p", { class: "muted" }, "The shown runs have no pictures or videos in samples/."));
  const videos = $("gallery").querySelectorAll("video").length;
  $("play").hidden = $("restart").hidden = videos === 0;
}

const sampleOf = (index, name) => runs[index].samples.find((sample) => sample.name === name);

function media(sample, run) {
  const alt = `${sample.name} of ${run.name}`;
  if (sample.kind === "image") return element("img", { src: sample.uri, alt, decoding: "async", onload: pixelated });
  const video = element("video", { src: sample.uri, "aria-label": alt, loop: true, playsinline: true, preload: "auto", tabindex: 0, onloadedmetadata: pixelated });
  // Controls hide a small video, so they come when it is pointed at or has the focus.
  for (const name of ["mouseenter", "focus"]) video.addEventListener(name, () => (video.controls = true));
  for (const name of ["mouseleave", "blur"]) video.addEventListener(name, () => (video.controls = false));
  video.muted = true; // else it may not play by itself
  video.autoplay = playing;
  return video;
}

/** Small pictures are enlarged in whole pixels: a smoothed 40 x 40 shows nothing. */
function pixelated(event) {
  const width = event.target.naturalWidth || event.target.videoWidth;
  event.target.classList.toggle("small", width < 200);
}

function figureOf(index, name) {
  const sample = sampleOf(index, name);
  if (!sample) return null;
  const shown = media(sample, runs[index]);
  const button = (...inside) => element("button", { type: "button", title: "enlarge; arrow keys go through the runs", onclick: () => enlarge(index, name) }, ...inside);
  const caption = element("figcaption", { title: runs[index].name }, swatch(index), element("span", {}, shortName(runs[index])));
  if (sample.kind === "video") caption.append(button("⤢"));
  return element("figure", { "data-run": index }, sample.kind === "image" ? button(shown) : shown, caption);
}

function enlarge(index, name) {
  const run = runs[index];
  $("large").replaceChildren(media(sampleOf(index, name), run));
  $("large-caption").replaceChildren(swatch(index), ` ${run.name} · ${name}`);
  $("lightbox").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const those = seen().filter((other) => sampleOf(other, name));
    enlarge(those[(those.indexOf(index) + step + those.length) % those.length], name);
    event.preventDefault();
  };
  if (!$("lightbox").open) $("lightbox").showModal();
}

// ---- start --------------------------------------------------------------------------------------------------------

function redraw({ curves = true } = {}) {
  drawTable();
  drawMeans();
  drawParameters();
  drawTradeoffs();
  if (curves) drawCurves();
  drawClasses();
  drawRobustness();
  drawSamples();
}

function setTheme(choice) {
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
  $("theme").textContent = `colors: ${choice}`;
  $("theme").dataset.choice = choice;
  for (const { plot } of charts.values()) plot?.redraw(false, true);
}

function start() {
  const states = new Map();
  for (const run of runs) states.set(run.state, (states.get(run.state) ?? 0) + 1);
  $("title").textContent = data.where;
  document.title = `${runs.length} runs · ${data.where}`;
  $("summary").textContent = [`${runs.length} run${runs.length === 1 ? "" : "s"}`, ...[...states].map(([name, count]) => `${count} ${name}`)].join(" · ");
  $("made").textContent = `made ${data.made}; curves hold at most ${data.pointsPerCurve} points a run, peaks kept`;

  const common = Object.entries(data.common);
  $("common").querySelector("summary").textContent = `${common.length} config values that are the same in all runs`;
  $("common").querySelector("dl").append(...common.map(([key, value]) => element("div", {}, element("dt", {}, key), element("dd", {}, value))));
  $("common").hidden = common.length === 0;

  if (data.decides !== null && !data.keepOrder) state.sort = { column: data.decides, way: bestFirst(data.columns[data.decides]) };
  choices($("column-choice"), data.columns, columnName, () => redraw({ curves: false }));
  choices($("metric-choice"), data.metrics, (metric) => metric.name, drawCurves);
  for (const axis of Object.keys(AXES)) {
    const radio = element("input", { type: "radio", name: "axis", value: axis, checked: axis === state.axis, onchange: () => { state.axis = axis; zoom = null; $("reset-zoom").hidden = true; drawCurves(); } });
    $("axis").append(element("label", {}, radio, axis.replace("_", " ")));
  }
  $("search").addEventListener("input", (event) => { state.search = event.target.value.trim(); redraw(); });
  $("show-all").addEventListener("click", () => { found().forEach((index) => state.shown.add(index)); redraw(); });
  $("show-none").addEventListener("click", () => { found().forEach((index) => state.shown.delete(index)); redraw(); });
  $("smoothing").addEventListener("input", (event) => { state.smoothing = Number(event.target.value); $("smoothing-value").textContent = state.smoothing; drawCurves(); });
  $("log").addEventListener("change", (event) => { state.log = event.target.checked; drawCurves(); });
  $("reset-zoom").addEventListener("click", () => setZoom(null));
  $("size").addEventListener("input", (event) => $("gallery").style.setProperty("--size", `${event.target.value}px`));
  $("play").textContent = playing ? "pause" : "play";
  $("play").addEventListener("click", () => {
    playing = !playing;
    $("play").textContent = playing ? "pause" : "play";
    for (const video of $("gallery").querySelectorAll("video")) playing ? video.play() : video.pause();
  });
  $("restart").addEventListener("click", () => {
    for (const video of $("gallery").querySelectorAll("video")) { video.currentTime = 0; video.play(); }
    playing = true;
    $("play").textContent = "pause";
  });
  $("lightbox").addEventListener("click", () => $("lightbox").close());
  $("lightbox").addEventListener("close", () => $("large").replaceChildren());
  for (const menu of document.querySelectorAll(".menu")) {
    menu.addEventListener("toggle", () => { // within the screen
      const [list, edge] = [menu.querySelector(".choices"), document.documentElement.clientWidth - 8];
      list.style.left = `${Math.min(0, edge - list.offsetWidth - menu.getBoundingClientRect().left)}px`;
    });
  }
  document.addEventListener("click", (event) => { for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") for (const menu of document.querySelectorAll(".menu[open]")) menu.open = false; });
  $("charts").addEventListener("mouseleave", () => { for (const chart of charts.values()) chart.tip.hidden = true; }, true);
  $("charts").addEventListener("focusout", () => { for (const chart of charts.values()) chart.tip.hidden = true; });

  if (data.leftOut.length) {
    $("left-out").textContent = `${data.leftOut.length} left out: together they are larger than the page may be (--max-sample-megabytes)`;
    $("left-out-list").hidden = false;
    $("left-out-list").querySelector("ul").append(...data.leftOut.map((path) => element("li", {}, path)));
  }
  const room = $("gallery").clientWidth / Math.min(6, runs.length) - 12;
  $("size").value = Math.max(140, Math.min(20 * Math.floor((room - 4) / 20), 640)); // in its steps
  $("gallery").style.setProperty("--size", `${$("size").value}px`);
  drawSignificance();
  startParameters();
  startTradeoffs();
  setTheme("auto");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme($("theme").dataset.choice));
  $("theme").addEventListener("click", () => setTheme({ auto: "dark", dark: "light", light: "auto" }[$("theme").dataset.choice]));
  redraw();
}

start();
