/* What came out against what it costs to use, as `videxp evaluate --on speed` measured it: a chart for each cost, with the
   runs that no other one beats in both. It stands before page.js, whose `data`, `runs`, ... its functions use once the page
   has started, and after parameters.js. */

const COSTS = { "speed/latency_ms": "latency of a clip (ms)", "speed/size_mib": "size (MiB)", "speed/gmacs": "GMACs of a clip", "speed/joules_per_clip": "energy of a clip (J)" };
const tradeoffs = { costs: [], metrics: [], metric: null, dots: [] };

const known = (index, ...columns) => columns.every((column) => isValue(valueOf(index, column)));

/** Costs and metrics that two runs or more have; the test's headline metric first. */
function findTradeoffs() {
  const columns = data.columns.map((column, index) => ({ ...column, index }));
  const count = (column) => runs.filter((run) => isValue(run.cells[column.index])).length;
  tradeoffs.costs = Object.keys(COSTS).map((label) => columns.find((column) => column.kind === "axis" && column.label === label)).filter((column) => column && count(column) > 1);
  const isOfTest = (column) => column.on && column.label.startsWith("test/");
  tradeoffs.metrics = columns.filter((column) => ["last", "best"].includes(column.kind) && column.better && count(column) > 1).sort((a, b) => isOfTest(b) - isOfTest(a) || b.on - a.on);
  tradeoffs.metric = tradeoffs.metrics[0] ?? null;
}

/** The runs that no other run beats: none is as good and as cheap, and better or cheaper. */
function undominated(indices, cost) {
  const way = tradeoffs.metric.better === "max" ? -1 : 1; // less is better
  const of = new Map(indices.map((index) => [index, [way * valueOf(index, tradeoffs.metric).by, valueOf(index, cost).by]]));
  const beats = ([value, price], [other, others]) => value <= other && price <= others && (value < other || price < others);
  return indices.filter((index) => !indices.some((other) => beats(of.get(other), of.get(index))));
}

function drawTradeoffs() {
  if ($("tradeoffs").hidden) return;
  const visible = seen().filter((index) => known(index, tradeoffs.metric));
  $("tradeoff-charts").replaceChildren();
  $("tradeoff-tip").hidden = true;
  tradeoffs.dots = tradeoffs.costs.map((cost) => drawTradeoff(cost, visible.filter((index) => known(index, cost))));
  const measured = visible.filter((index) => runs[index].speed !== null);
  const places = new Set(measured.map((index) => runs[index].speed.on));
  const busy = measured.filter((index) => runs[index].speed.busy).length;
  const notes = [places.size > 1 && `times and energy are of ${places.size} different machines or settings, which cannot be compared`, busy > 0 && `${busy} measured while the machine was busy: hollow`];
  $("tradeoff-notes").textContent = notes.filter(Boolean).join("; ");
}

function drawTradeoff(cost, indices) {
  const holder = element("div", { class: "plot" });
  const name = `${columnName(tradeoffs.metric)} against ${COSTS[cost.label]}`;
  $("tradeoff-charts").append(element("div", { class: "small-chart", "data-cost": cost.label }, element("h3", { title: name }, COSTS[cost.label]), holder));
  const width = holder.clientWidth;
  const svg = element("svg", { width, height: SMALL.height, role: "img", "aria-label": name });
  const across = scaleOf(indices.map((index) => valueOf(index, cost)), SMALL.left + 8, width - SMALL.right);
  const up = scaleOf(indices.map((index) => valueOf(index, tradeoffs.metric)), SMALL.height - SMALL.bottom - 6, SMALL.top);
  svg.append(...chartAxes(across, up, width));
  const place = (index) => [across.at(valueOf(index, cost)), up.at(valueOf(index, tradeoffs.metric))];
  const front = undominated(indices, cost).sort((a, b) => place(a)[0] - place(b)[0]);
  if (front.length > 1) svg.append(element("path", { class: "front", d: `M${front.map((index) => place(index).map((value) => value.toFixed(1)).join(" ")).join("L")}` }));
  const dots = new Map();
  for (const index of [...indices.filter((index) => !front.includes(index)), ...front]) {
    const ink = front.includes(index) ? color(index) : "var(--without)";
    const [x, y] = place(index);
    const dot = element("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: front.includes(index) ? 5 : 4, class: front.includes(index) ? "on-front" : "", style: `fill: ${runs[index].speed?.busy ? "var(--page)" : ink}; stroke: ${ink}; stroke-width: 2` });
    dots.set(index, { place: [x, y], dot });
    svg.append(dot);
  }
  holder.append(svg);
  svg.addEventListener("mousemove", (event) => pointTradeoff(nearestDot(dots, event.offsetX, event.offsetY), event));
  return dots;
}

/** Names a run and what it costs beside the cursor, and brings it to the front everywhere. */
function pointTradeoff(index, event) {
  highlight(index);
  const tip = $("tradeoff-tip");
  tip.hidden = index === null;
  if (index === null) return;
  const row = (label, column) => element("tr", {}, element("td", {}, label), element("td", { class: "number" }, valueOf(index, column).text || "none"));
  const rows = [row(columnName(tradeoffs.metric), tradeoffs.metric), ...tradeoffs.costs.map((cost) => row(COSTS[cost.label], cost))];
  const on = runs[index].speed === null ? "" : runs[index].speed.on;
  tip.replaceChildren(element("div", {}, swatch(index), " ", element("b", {}, shortName(runs[index]))), element("table", {}, ...rows), element("div", { class: "muted" }, on));
  placeTip(tip, $("tradeoffs"), event);
}

/** Page.js calls it whenever a run is brought to the front, from wherever. */
function highlightTradeoffs(index) {
  for (const dots of tradeoffs.dots) for (const [other, { dot }] of dots) dot.classList.toggle("faint", dots.has(index) && other !== index);
}

function startTradeoffs() {
  findTradeoffs();
  $("tradeoffs").hidden = tradeoffs.costs.length === 0 || tradeoffs.metric === null;
  if ($("tradeoffs").hidden) return;
  tradeoffs.metrics.forEach((column, i) => $("tradeoff-metric").append(element("option", { value: i }, columnName(column))));
  $("tradeoff-metric").addEventListener("change", (event) => { tradeoffs.metric = tradeoffs.metrics[event.target.value]; drawTradeoffs(); });
  $("tradeoffs").addEventListener("mouseleave", () => pointTradeoff(null));
  const charts = $("tradeoff-charts");
  let width = charts.clientWidth;
  new ResizeObserver(() => { if (charts.clientWidth !== width) { width = charts.clientWidth; drawTradeoffs(); } }).observe(charts);
}
