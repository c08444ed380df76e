/* Whether runs differ from the first by more than chance, as `videxp compare --significance` tested it: `data.significance`
   is what videxp/comparison/significance.py wrote, null where it was not asked for. It stands before page.js. */

function drawSignificance() {
  const found = data.significance;
  $("significance").hidden = !found;
  if (!found) return;
  const { first, others } = found;
  $("significance-of").textContent = `${found.metric} of each ${found.split} sample, ${found.better === "max" ? "more" : "less"} is better; against ${sideName(first)}`;
  const widest = Math.max(...others.flatMap((side) => [Math.abs(side.low), Math.abs(side.high)])) || 1;
  const heads = ["runs", found.metric, "difference", "95 % interval", "", "p", ""];
  const head = element("tr", {}, ...heads.map((text, i) => element("th", { scope: "col", class: i === 0 ? "name" : [1, 2, 3, 5].includes(i) ? "number" : "" }, text)));
  const row = (side, ...cells) => element("tr", {}, element("th", { scope: "row", class: "name", title: side.runs.join(", ") }, sideName(side)), element("td", { class: "number" }, four(side.mean)), ...cells);
  const rows = others.map((side) =>
    row(
      side,
      element("td", { class: "number" }, signed(side.difference)),
      element("td", { class: "number" }, `${signed(side.low)} to ${signed(side.high)}`),
      element("td", {}, intervalPicture(side, widest)),
      element("td", { class: "number" }, side.p < 0.001 ? side.p.toExponential(1) : side.p.toFixed(3)),
      element("td", { class: `verdict ${side.verdict.split(" ")[0]}` }, side.verdict),
    ),
  );
  $("significance-table").replaceChildren(element("thead", {}, head), element("tbody", {}, row(first, ...Array.from({ length: 5 }, () => element("td"))), ...rows));
  $("significance-notes").replaceChildren(...found.notes.map((note) => element("li", {}, note)));
}

const sideName = (side) => (side.runs.length === 1 ? side.runs[0] : `${side.runs[0]} and ${side.runs.length - 1} more`);
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + four(Math.abs(value));

/** The interval as a line with the difference as a dot, over where no difference would be. */
function intervalPicture(side, widest) {
  const x = (value) => 60 + (value / widest) * 55;
  return element(
    "svg",
    { class: "interval", viewBox: "0 0 120 16", width: 120, height: 16, role: "img", "aria-label": `${signed(side.low)} to ${signed(side.high)}` },
    element("line", { class: "base", x1: 60, x2: 60, y1: 0, y2: 16 }),
    element("line", { class: "range", x1: x(side.low), x2: x(side.high), y1: 8, y2: 8 }),
    element("circle", { cx: x(side.difference), cy: 8, r: 3.5 }),
  );
}
