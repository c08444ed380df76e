/* How each class went in the runs' last `videxp evaluate`: the one that went least well first.
   It stands before page.js, whose `runs`, `element`, ... its function uses once the page has started. */

function drawClasses() {
  const visible = seen().filter((index) => runs[index].classes.length);
  const of = new Map(visible.map((index) => [index, new Map(runs[index].classes.map((row) => [row.name, row]))]));
  const rows = [...new Set(visible.flatMap((index) => [...of.get(index).keys()]))].map((name) => {
    const each = visible.map((index) => of.get(index).get(name));
    const values = each.map((row) => row?.value).filter((value) => typeof value === "number");
    const mean = values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : Infinity;
    return { name, each, mean, videos: videosOf(each) };
  });
  rows.sort((a, b) => (a.mean === b.mean ? 0 : a.mean - b.mean)); // Infinity - Infinity is no number
  $("classes").hidden = rows.length === 0;
  const heads = visible.map((index) => element("th", { scope: "col", class: "number", title: runs[index].name }, swatch(index), ` ${shortName(runs[index])} `, element("span", { class: "path" }, runs[index].classScore)));
  const head = element("tr", {}, element("th", { scope: "col", class: "name" }, "class"), element("th", { scope: "col", class: "number" }, "videos"), ...heads);
  const body = rows.map((row) => element("tr", {}, element("th", { scope: "row", class: "name" }, row.name), element("td", { class: "number" }, row.videos), ...row.each.map(classCell)));
  $("class-table").replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
}

/** `4`, or `4-16` where runs were evaluated on more videos or fewer. */
function videosOf(each) {
  const counts = each.filter((row) => row).map((row) => row.videos);
  return [...new Set([Math.min(...counts), Math.max(...counts)])].join("-");
}

function classCell(row) {
  const value = row?.value;
  if (typeof value !== "number") return element("td", { class: "number muted" }, "-");
  return element("td", { class: "number part", style: `--part: ${(100 * value).toFixed(1)}%` }, value.toFixed(4));
}
