"""videxp compare: what differed between runs, and what came out."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest
from videxp.core.files import replacing, write_csv, write_text
from videxp.core.options import OneLineParser
from videxp.core.outputs import require_output_file

if TYPE_CHECKING:
    from rich.table import Table

    from videxp.comparison.significance import Significance
    from videxp.comparison.table import Column, Row
    from videxp.runs.reading import Run

SUMMARY = "RUN... [--html FILE]      what differed and what came out: a table, a page with curves and samples"
STATE_STYLES = {
    "finished": "green",
    "running": "cyan",
    "queued": "dim",
    "failed": "red",
    "broken": "red",
    "interrupted": "yellow",
}
EPILOG = """examples:
  videxp compare runs --sort test/accuracy:desc --filter state=finished
  videxp compare 'runs/*/moving_digits*' --filter 'optimizer.lr>=1e-3' --metrics 'val/*,train/loss'
  videxp compare runs/sweep-over-splits --mean
  videxp compare runs/first runs/second --significance
  videxp compare runs --html compare.html"""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    _require_outputs(options)
    from videxp.comparison import table as comparison
    from videxp.runs.reading import find_runs, read_run

    paths, empty = find_runs(options.runs)
    for folder in empty:
        print(f"videxp: {folder}: no run folder there", file=sys.stderr)
    runs, rows = _selected([read_run(path) for path in paths], options)
    wanted = [name for text in options.metrics or [] for name in text.split(",") if name]
    columns = comparison.table_columns(runs, metrics=wanted)
    in_files = comparison.file_columns(columns) if wanted else columns
    significance = _tested(runs, rows, columns, options) if options.significance else None
    if options.html:
        _write_page(runs, rows, columns, options, significance)
    if options.csv and options.csv != "-":
        with replacing(Path(options.csv)) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            write_csv(file, rows, [column.key for column in in_files])
    if options.json:
        _print_json([_as_dict(row, in_files) for row in rows], significance)
    elif options.csv == "-":
        write_csv(sys.stdout, rows, [column.key for column in in_files])
    else:
        _print_table(runs, rows, [column for column in columns if column.shown])
        if options.mean:
            _print_mean(runs, rows, columns)
        if significance is not None:
            _print_significance(significance)
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        prog="videxp compare",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, folders that hold them, or globs")
    parser.add_argument("--sort", metavar="KEY[:desc]", help="a config key, metric (last), METRIC.best, seconds, ...")
    parser.add_argument(
        "--filter", action="append", metavar="CONDITION", help="KEY=VALUE, !=, >, >=, <, <=; may be repeated"
    )
    parser.add_argument(
        "--metrics", action="append", metavar="A,B", help="names or globs instead of the task's main ones"
    )
    parser.add_argument(
        "--mean", action="store_true", help="mean and deviation of the metrics over the finished runs, under the table"
    )
    parser.add_argument(
        "--significance",
        action="store_true",
        help="test each run against the first, sample by sample: by their predictions.csv, of videxp evaluate",
    )
    parser.add_argument("--metric", metavar="M", help="what --significance tests instead of the task's main metric")
    parser.add_argument("--json", action="store_true", help="print JSON: all metrics, unless --metrics")
    parser.add_argument("--csv", metavar="FILE", help="write CSV: all metrics, unless --metrics; - for the terminal")
    parser.add_argument("--html", metavar="FILE", help="write one page with table, curves and samples; opens anywhere")
    parser.add_argument(
        "--max-sample-megabytes",
        type=float,
        default=48.0,
        metavar="MB",
        help="size of all samples in the page together (default 48)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    options = parser.parse_args(arguments)
    if options.mean and (options.json or options.csv == "-"):
        raise BadRequest("compare --mean: goes with the table; leave out --json and --csv -")
    if options.significance and options.csv == "-":
        raise BadRequest("compare --significance: goes with the table, --json and --html; leave out --csv -")
    if options.metric and not options.significance:
        raise BadRequest(f"compare --metric {options.metric}: goes with --significance; columns are --metrics")
    return options


def _require_outputs(options: argparse.Namespace) -> None:
    """Raises BadRequest where a file cannot be written."""
    files = {"--html": options.html, "--csv": None if options.csv == "-" else options.csv}
    for option, path in files.items():
        if path:
            require_output_file(Path(path), overwrite=options.overwrite, option=option)
    if options.html and options.csv and Path(options.html).resolve() == Path(options.csv).resolve():
        raise BadRequest(f"compare: --html and --csv are both {options.html}: give each a file of its own")


def _selected(runs: list["Run"], options: argparse.Namespace) -> tuple[list["Run"], list["Row"]]:
    """The runs that meet every --filter, in the order of --sort, each with its row."""
    from videxp.comparison import table as comparison

    rows = [comparison.row(run) for run in runs]
    kept = list(range(len(runs)))
    for condition in options.filter or []:
        meets = comparison.matches(rows, condition)
        kept = [i for i in kept if meets[i]]
    if not kept:
        raise BadRequest(f"no run meets {' and '.join(options.filter)} ({len(runs)} runs were looked at)")
    if options.sort:
        kept = [kept[i] for i in comparison.order([rows[i] for i in kept], options.sort)]
    return [runs[i] for i in kept], [rows[i] for i in kept]


def _tested(
    runs: list["Run"], rows: list["Row"], columns: list["Column"], options: argparse.Namespace
) -> "Significance":
    """Each run against the first of the command line."""
    from videxp.comparison.significance import compare_runs
    from videxp.comparison.table import short_names

    return compare_runs(runs, short_names([run.path for run in runs])[1], rows, columns, metric=options.metric)


# ---- files -------------------------------------------------------------------------------------------------------


def _as_dict(row: "Row", columns: list["Column"]) -> dict[str, Any]:
    """Only what the run has; NaN and infinity, which JSON lacks, become null."""
    values = {column.key: row[column.key] for column in columns if column.key in row}
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _write_page(
    runs: list["Run"],
    rows: list["Row"],
    columns: list["Column"],
    options: argparse.Namespace,
    significance: "Significance | None",
) -> None:
    from videxp.comparison.page import build_page

    limit = int(options.max_sample_megabytes * 1e6)
    tested = None if significance is None else significance.facts()
    page = build_page(runs, rows, columns, max_sample_bytes=limit, keep_order=bool(options.sort), significance=tested)
    write_text(Path(options.html), page.html)
    left_out = f"; {len(page.left_out)} samples left out, see its end" if page.left_out else ""
    print(
        f"{options.html}  ({len(page.html) / 1e6:.1f} MB, {len(runs)} runs, {page.samples} samples{left_out})",
        file=sys.stderr,
    )


def _print_json(rows: list[dict[str, Any]], significance: "Significance | None") -> None:
    """The rows; with --significance an object that has them as `runs`."""
    told = rows if significance is None else {"runs": rows, "significance": significance.facts()}
    print(json.dumps(told, default=str))


# ---- terminal ----------------------------------------------------------------------------------------------------


def _print_table(runs: list["Run"], rows: list["Row"], columns: list["Column"]) -> None:
    """A line for each run; where that is too wide for the terminal and runs are few, a column for each."""
    from videxp.comparison.table import short_names
    from videxp.core.console import Console

    console = Console(highlight=False)
    parent, names = short_names([run.path for run in runs])
    in_table = [column for column in columns if column.kind not in ("run", "trouble")]
    grid = _grid(names, rows, in_table)
    views = [_as_lines(grid, in_table)]
    if not console.is_terminal:
        console = Console(highlight=False, width=max(80, _width(views[0])))  # a file has no edge to fold at
    elif _width(views[0]) > console.width:
        upright = _as_columns(grid, in_table)
        fits = _width(upright) <= console.width
        views = [upright] if fits else _in_pieces(grid, in_table, width=console.width)
    console.print(f"[dim]in {parent}[/]", soft_wrap=True)
    for view in views:
        console.print(view)
    for name, run in zip(names, runs):
        if run.trouble:
            console.print(f"{name}: {run.state}: {run.trouble}", markup=False, soft_wrap=True, style="red")


def _print_mean(runs: list["Run"], rows: list["Row"], columns: list["Column"]) -> None:
    """Over seeds or splits, a line for each experiment: `mean of 2 (x3d/0, x3d/1): test/accuracy 0.94 ± 0.01`."""
    from videxp.comparison.repetitions import different_inputs, repetitions, spread
    from videxp.comparison.table import short_names

    _, names = short_names([run.path for run in runs])
    groups = repetitions(rows, columns)
    for group in groups:
        texts = ", ".join(spread([rows[i] for i in group], columns)) or "no metric that all of them have"
        print(f"mean of {len(group)} ({', '.join(names[i] for i in group)}): {texts}")
    if len(groups) > 1 and (inputs := different_inputs(rows, groups, columns)):
        print(f"not averaged with one another, as their inputs differ: {', '.join(inputs)}")
    if left := len(rows) - sum(map(len, groups)):
        print(f"{left} left out: not finished")


def _print_significance(significance: "Significance") -> None:
    from videxp.comparison.significance import significance_lines

    print("", *significance_lines(significance), sep="\n")


def _grid(names: list[str], rows: list["Row"], columns: list["Column"]) -> list[list[str]]:
    """Cell texts with markup, the name first: one list for each run."""
    from rich.markup import escape

    from videxp.comparison.table import best_rows, cell_text

    grid = [[escape(name)] for name in names]
    for column in columns:
        best = best_rows(column, rows)
        for i, row in enumerate(rows):
            text = escape(cell_text(column, row))
            style = "bold" if i in best else STATE_STYLES.get(text) if column.kind == "state" else None
            grid[i].append(f"[{style}]{text}[/]" if style and text else text)
    return grid


def _in_pieces(grid: list[list[str]], columns: list["Column"], *, width: int) -> list["Table"]:
    """Tables one below another, each with the runs' names and as many columns as fit."""
    pieces: list[Table] = []
    taken: list[int] = []
    for number in range(len(columns) + 1):
        more = [*taken, number] if number < len(columns) else []
        view = _as_lines([[cells[0], *(cells[i + 1] for i in more)] for cells in grid], [columns[i] for i in more])
        if taken and (not more or _width(view) > width):
            part = [[cells[0], *(cells[i + 1] for i in taken)] for cells in grid]
            pieces.append(_as_lines(part, [columns[i] for i in taken]))
            more = more[-1:]
        taken = more
    return pieces


def _width(view: "Table") -> int:
    from videxp.core.console import Console

    return Console(width=100_000).measure(view).maximum


def _heading(column: "Column") -> str:
    """One word under another, since headings are longer than values: `val/`, `accuracy`, `best`."""
    text = {"seconds": "time", "clips_per_second": "clips/s"}.get(column.key, column.key)
    if column.kind == "best":
        text = f"{text.removesuffix('.best')}\nbest"
    return text.replace("/", "/\n", 1) if column.kind in ("last", "best", "axis") else text.replace(".", ".\n")


def _as_lines(grid: list[list[str]], columns: list["Column"]) -> "Table":
    from rich.table import Table

    view = Table(show_edge=False, pad_edge=False)
    view.add_column("run", overflow="fold")
    for column in columns:
        number = column.kind in ("last", "best", "axis", "cost")
        view.add_column(_heading(column), justify="right" if number else "left", overflow="fold")
    for cells in grid:
        view.add_row(*cells)
    return view


def _as_columns(grid: list[list[str]], columns: list["Column"]) -> "Table":
    from rich.table import Table

    view = Table(show_edge=False, pad_edge=False)
    for title in ("", *(cells[0] for cells in grid)):
        view.add_column(title, overflow="fold", justify="right" if title else "left")
    for number, column in enumerate(columns, start=1):
        title = _heading(column).replace("\nbest", " best").replace("\n", "")
        view.add_row(title, *(cells[number] for cells in grid))
    return view
