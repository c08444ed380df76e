/* How the runs' headline falls with severity, from their last `videxp evaluate --on robustness`: the mean over all
   corruptions first, then each corruption. Runs are drawn over one another where table, metric and samples are the same.
   It stands before page.js, whose `runs`, `element`, ... its functions use once the page has started. */

const FALL = { width: 270, height: 170, top: 8, bottom: 22, left: 46, right: 10 };

function drawRobustness() {
  const visible = seen().filter((index) => runs[index].robustness);
  const titles = new Map(); // of a chart -> its runs' curves
  const several = new Set(visible.map((index) => runs[index].robustness.samples)).size > 1;
  for (const index of visible) {
    const { metric, protocol, samples, curves } = runs[index].robustness;
    for (const [name, points] of Object.entries(curves)) {
      const title = `${name}: ${metric}, ${protocol}${several ? `, samples ${samples}` : ""}`;
      titles.set(title, [...(titles.get(title) ?? []), { index, points }]);
    }
  }
  $("robustness").hidden = titles.size === 0;
  $("robustness-charts").replaceChildren(...[...titles].map(([title, lines]) => fallChart(title, lines)));
}

function fallChart(title, lines) {
  const severities = [...new Set(lines.flatMap(({ points }) => points.map(([severity]) => severity)))].sort((a, b) => a - b);
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const [low, high] = [least(values), greatest(values)];
  const [top, bottom] = [FALL.top, FALL.height - FALL.bottom];
  const y = (value) => (high === low ? (top + bottom) / 2 : bottom - ((value - low) / (high - low)) * (bottom - top));
  const ticks = numberTicks(values, { log: false, low, high }).map((value) => ({ at: y(value), text: short(value) }));
  const x = (severity) => FALL.left + (severity / Math.max(1, severities.at(-1))) * (FALL.width - FALL.left - FALL.right);
  const text = (words, attributes) => element("text", attributes, words);
  const told = lines.map(({ index, points }) => `${shortName(runs[index])}: ${points.map(([severity, value]) => `${severity ? `severity ${severity}` : "clean"} ${precise(value)}`).join(", ")}`);
  const svg = element("svg", { viewBox: `0 0 ${FALL.width} ${FALL.height}`, width: "100%", role: "img", "aria-label": `${title}. ${told.join("; ")}` });
  for (const tick of spaced(ticks, () => 8)) {
    svg.append(element("line", { class: "grid", x1: FALL.left, x2: FALL.width - FALL.right, y1: tick.at, y2: tick.at }));
    svg.append(text(tick.text, { x: FALL.left - 6, y: tick.at + 4, "text-anchor": "end" }));
  }
  for (const severity of severities) svg.append(text(severity ? String(severity) : "clean", { x: x(severity), y: FALL.height - 6, "text-anchor": "middle" }));
  for (const { index, points } of lines) {
    const path = points.map(([severity, value], i) => `${i ? "L" : "M"}${x(severity).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const group = element("g", { "data-run": index, onmouseenter: () => highlight(index), onmouseleave: () => highlight(null) }, element("title", {}, told[lines.findIndex((line) => line.index === index)]));
    group.append(element("path", { d: path, fill: "none", stroke: color(index), "stroke-width": 1.9, "stroke-dasharray": dash(index).join(" ") || null }));
    group.append(...points.map(([severity, value]) => element("circle", { cx: x(severity), cy: y(value), r: 3, fill: color(index) })));
    svg.append(group);
  }
  return element("div", { class: "small-chart", "data-chart": title }, element("h3", { title }, title), svg);
}
