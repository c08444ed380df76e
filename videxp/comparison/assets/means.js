/* Mean and sample standard deviation over the repetitions of each experiment: `experiment` of a run is the same number for
   those that differ in seed or split alone; a run that is not finished has none. It stands before page.js. */

function drawMeans() {
  const groups = new Map();
  for (const index of seen()) {
    const number = runs[index].experiment;
    if (number !== null) groups.set(number, [...(groups.get(number) ?? []), index]);
  }
  $("means").hidden = [...groups.values()].every((group) => group.length < 2);
  if ($("means").hidden) return;
  $("not-averaged").textContent = data.notAveraged.length ? `not averaged with one another, as their inputs differ: ${data.notAveraged.join(", ")}` : "";
  const columns = data.columns.map((column, index) => ({ ...column, index })).filter((column) => column.on);
  const parameters = columns.filter((column) => column.kind === "config" && tellsApart(column, [...groups.values()]));
  const metrics = columns.filter((column) => column.kind === "last" || column.kind === "best");
  const ranked = [...groups.values()].map((group) => ({ group, by: data.decides === null ? null : averaged(group, data.decides) }));
  if (data.decides !== null) ranked.sort((a, b) => (a.by === null || b.by === null ? (a.by === null) - (b.by === null) : bestFirst(data.columns[data.decides]) * (a.by.mean - b.by.mean)));
  const head = (column) => element("th", { scope: "col", class: isNumber(column) ? "number" : "" }, columnName(column));
  const heads = element("tr", {}, element("th", { scope: "col", class: "name" }, "runs"), ...[...parameters, ...metrics].map(head));
  const body = ranked.map(({ group }) => element("tr", {}, nameCell(group), ...parameters.map((column) => element("td", { class: "config" }, runs[group[0]].cells[column.index].text)), ...metrics.map((column) => meanCell(group, column))));
  $("mean-table").replaceChildren(element("thead", {}, heads), element("tbody", {}, ...body));
}

/** Whether all runs of an experiment have one value, and experiments have several. */
function tellsApart(column, groups) {
  const values = groups.map((group) => new Set(group.map((index) => nameOf(runs[index].cells[column.index]))));
  return values.every((some) => some.size === 1) && new Set(values.map((some) => [...some][0])).size > 1;
}

/** {mean, deviation}; null where a run has no value, no deviation of a single run. */
function averaged(group, column) {
  const values = group.map((index) => runs[index].cells[column].by);
  if (!values.every((value) => typeof value === "number")) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null };
}

function nameCell(group) {
  const names = group.map((index) => shortName(runs[index])).join(", ");
  return element("th", { scope: "row", class: "name", title: names }, `${group.length} run${group.length === 1 ? "" : "s"} `, element("span", { class: "path" }, names));
}

function meanCell(group, column) {
  const found = averaged(group, column.index);
  if (found === null) return element("td", { class: "number muted" }, "-");
  return element("td", { class: "number" }, four(found.mean), found.deviation === null ? "" : ` ± ${four(found.deviation)}`);
}

/** As the table has it: four places, or four digits of what is very small or large. */
const four = (value) => (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4) ? value.toFixed(4) : String(Number(value.toPrecision(4))));
