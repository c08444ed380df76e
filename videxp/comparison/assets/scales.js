/* Scales: where values lie between two ends (px). Numbers lie by their size, all else has a slot of its own. */

const [SLOT, BREAK] = [26, 14]; // px for a slot beneath the numbers, and between slots and numbers
const DECADES = 100; // a scale is logarithmic where the greatest is so many times the least
const isValue = (cell) => typeof cell.by === "number";
const nameOf = (cell) => (cell.text === "" ? "none" : cell.full || cell.text); // tells apart what is no number

/** Cells from `start` to `end`. On a logarithmic scale a zero has a slot, too; slots come before the numbers.
    ratios: it is logarithmic though the numbers span no decades. */
function scaleOf(cells, start, end, { ratios = false } = {}) {
  const numbers = cells.filter(isValue).map((cell) => cell.by);
  const above = numbers.filter((value) => value > 0);
  const log = numbers.every((value) => value >= 0) && greatest(above) / least(above) >= (ratios ? 1 : DECADES) * (1 - 1e-9);
  const onScale = log ? above : numbers;
  const inSlot = (cell) => !isValue(cell) || (log && cell.by === 0);
  const others = new Map(cells.filter(inSlot).map((cell) => [nameOf(cell), cell.text || "none"]));
  const names = [...others.keys()].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));

  const way = Math.sign(end - start);
  const slot = onScale.length ? way * SLOT : (end - start) / names.length;
  const origin = start + slot * names.length + (names.length ? way * BREAK : 0);
  const [low, high] = [least(onScale), greatest(onScale)];
  const bent = log ? Math.log : (value) => value;
  const part = (value) => (high === low ? 0.5 : (bent(value) - bent(low)) / (bent(high) - bent(low)));
  const at = (value) => origin + part(value) * (end - origin);
  const middle = (name) => start + slot * (names.indexOf(name) + 0.5);
  // Runs of one slot lie side by side, a run always at the same place.
  const aside = (run, reach) => (((run * 0.618) % 1) - 0.5) * Math.min(Math.abs(slot) * 0.6, reach);
  return {
    log,
    slot,
    inSlot,
    part: (cell) => (inSlot(cell) ? 0 : part(cell.by)),
    at: (cell, { run = null, reach = 60 } = {}) => (inSlot(cell) ? middle(nameOf(cell)) + (run === null ? 0 : aside(run, reach)) : at(cell.by)),
    ticks: [...names.map((name) => ({ at: middle(name), text: others.get(name) })), ...numberTicks(onScale, { log, low, high }).map((value) => ({ at: at(value), text: short(value) }))],
  };
}

const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const greatest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

/** The values themselves where they are few and short; else powers of ten, or steps of 1, 2 or 5. */
function numberTicks(numbers, { log, low, high }) {
  const values = [...new Set(numbers)].sort((a, b) => a - b);
  if (values.length < 2 || (values.length <= 5 && values.every((value) => short(value).length <= 6))) return values;
  const decade = (value) => Math.floor(Math.log10(value) + 1e-9);
  const within = (factors) => range(decade(low), decade(high)).flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`))).filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
  const found = log && [[1], [1, 2, 5]].map(within).find((ticks) => ticks.length > 1);
  if (found) return found;
  const rough = (high - low) / 4;
  const step = [1, 2, 5, 10].map((factor) => factor * 10 ** decade(rough)).find((size) => size >= rough * 0.999);
  return range(Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)).map((count) => Number((count * step).toPrecision(12)));
}
const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);

/** Ticks that don't run into one another: `room` (px) is what a tick's text needs to either side of it. */
function spaced(ticks, room) {
  const kept = [];
  for (const tick of [...ticks].sort((a, b) => a.at - b.at)) {
    if (!kept.length || tick.at - kept.at(-1).at >= room(tick.text) + room(kept.at(-1).text)) kept.push(tick);
  }
  return kept;
}

const pen = document.createElement("canvas").getContext("2d");
function widthOf(text, font = "11px system-ui") {
  pen.font = font;
  return pen.measureText(text).width;
}
/** The text, its end cut off where it is wider than `width` px. */
function clipped(text, width, font = "11px system-ui") {
  if (widthOf(text, font) <= width) return text;
  let length = text.length - 1;
  while (length > 1 && widthOf(text.slice(0, length) + "…", font) > width) length--;
  return text.slice(0, length) + "…";
}
