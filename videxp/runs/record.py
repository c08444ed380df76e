"""experiments/<task>/<name>.json: what a recipe gave, seed by seed; and the table of all records."""

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from videxp.core.errors import BadRequest
from videxp.core.files import write_text
from videxp.core.printable import duration, number_text
from videxp.runs.folder import write_json
from videxp.runs.inputs import DATA, MARK
from videxp.runs.reading import Run, read_json

BEGIN, END = "<!-- records: written by videxp record -->", "<!-- end of records -->"
HEADER = """# Recorded results

`videxp record RUN...` writes a JSON file beside the recipe and this table; `videxp record --check` says which recipes
have changed since.
"""
Record = dict[str, Any]


# ---- what may be recorded ----------------------------------------------------------------------------------------


def recipe_of(run: Run) -> str:
    """Name of the recipe that a run was started with. Raises BadRequest if unknown."""
    if not (recipe := run.folder.recipe):
        raise BadRequest(f"{run.path}: provenance.json does not say from which recipe it was trained")
    return recipe


def refuse_unfit(runs: list[Run], *, allow_dirty: bool) -> None:
    """Raises BadRequest for what is no record: unfinished, of uncommitted code, one seed twice, different data."""
    problems = []
    for run in runs:
        if run.state != "finished":
            trouble = f" ({run.trouble})" if run.trouble else ""
            problems.append(f"{run.path}: is {run.state}{trouble}; only finished runs are recorded")
        elif not allow_dirty and (changed := uncommitted(run)):
            problems.append(
                f"{run.path}: its code was not committed ({_listing(changed)}); --allow-dirty records it so"
            )
    seeds: dict[Any, Run] = {}
    for run in runs:
        other = seeds.setdefault(run.config.get("seed"), run)
        if other is not run:
            problems.append(
                f"{other.path} and {run.path} have the same seed, {run.config.get('seed')}: give one of them"
            )
    data = {read_json(run.folder.provenance).get("data", {}).get("fingerprint"): run for run in runs}
    if len(data) > 1:
        one, another, *_ = data.values()
        problems.append(f"{one.path} and {another.path} were trained on different data (their fingerprints differ)")
    problems += _other_inputs(runs)
    if problems:
        more = [f"and {len(problems) - 2} more"] if len(problems) > 3 else []
        raise BadRequest("\n".join(problems[: 2 if more else 3] + more))


def _other_inputs(runs: list[Run]) -> list[str]:
    """Of each run with a variable or a file that was another for the first; code and data are looked at apart."""
    first, *others = runs
    problems = []
    for run in others:
        names = [name for name in {**first.inputs, **run.inputs} if not name.startswith((DATA, f"{MARK}code."))]
        if other := [name for name in names if first.inputs.get(name) != run.inputs.get(name)]:
            marks = f"{first.inputs.get(other[0])} and {run.inputs.get(other[0])}"
            what = f"another {other[0].removeprefix(MARK)} ({marks})"
            problems.append(f"{first.path} and {run.path} were trained with {what}: give runs of one")
    return problems


def uncommitted(run: Run) -> list[str]:
    """Files of code that differed from the commit; records and texts are no code."""
    files: list[str] = []
    provenance = read_json(run.folder.provenance)
    for state in (provenance.get("code"), provenance.get("videxp_code")):
        if isinstance(state, dict):
            lines = str(state.get("diff", "")).splitlines()
            files += [line.rpartition(" b/")[2] for line in lines if line.startswith("diff --git ")]
            files += list(state.get("untracked", {}))
    return [name for name in dict.fromkeys(files) if not name.endswith((".md", ".json"))]


# ---- a record ----------------------------------------------------------------------------------------------------


def build_record(runs: list[Run], *, recipe: str, recipe_hash: str, about: str) -> Record:
    """All that is kept of a recipe's runs, which `refuse_unfit` has let through."""
    runs = sorted(runs, key=lambda run: str(run.config.get("seed")).zfill(12))
    return {
        "recipe": recipe,
        "about": about,
        "recipe_hash": recipe_hash,
        "metrics": {name: _summary(runs, name) for name in _recorded_metrics(runs)},
        "data": read_json(runs[0].folder.provenance).get("data"),
        "runs": [_run_facts(run) for run in runs],
    }


def _recorded_metrics(runs: list[Run]) -> list[str]:
    """Those of the test, the task's main ones first; of the validation, where nothing was tested."""
    for split in ("test", "val"):
        names = [name for name in runs[0].metrics if name.startswith(f"{split}/")]
        if names:
            main = [f"{split}/{name}" for name in runs[0].headline]
            return sorted(names, key=lambda name: (main.index(name) if name in main else len(main), name))
    raise BadRequest(f"{runs[0].path}: metrics.csv holds no metric of a test or a validation")


def _summary(runs: list[Run], name: str) -> dict[str, Any]:
    per_seed: dict[str, float] = {}
    for run in runs:
        value = run.last(name)
        if value is None:
            raise BadRequest(f"{run.path}: has no {name}, but {runs[0].path} has")
        per_seed[str(run.config.get("seed"))] = round(value, 6)
    values = list(per_seed.values())
    return {
        "mean": round(mean(values), 6),
        "std": round(stdev(values), 6) if len(values) > 1 else None,
        "better": runs[0].better(name),
        "per_seed": per_seed,
    }


def _run_facts(run: Run) -> dict[str, Any]:
    told = read_json(run.folder.provenance)
    code = told.get("code") or {}
    packages = told.get("packages", {})
    return {
        "seed": run.config.get("seed"),
        "commit": code.get("commit"),
        "uncommitted": uncommitted(run),
        "hardware": hardware(run.config, told),
        "seconds": run.seconds,
        "clips_per_second": run.clips_per_second,
        "config_hash": told.get("config_hash"),
        "versions": {name: packages[name] for name in ("videxp", "torch", "pytorch-lightning") if name in packages},
        "finished": read_json(run.folder.state).get("time"),
    }


def hardware(config: dict[str, Any], provenance: dict[str, Any]) -> str:
    """`1 x CPU (AMD EPYC, 2 cores), 32-true`, `4 x NVIDIA H200, bf16-mixed`."""
    gpus = provenance.get("gpus") or []
    on_cpu = config.get("hardware.accelerator") == "cpu" or not gpus
    cpu = f"CPU ({provenance.get('cpu', 'unknown')}, {provenance.get('cpu_count', '?')} cores)"
    return f"{provenance.get('world_size', 1)} x {cpu if on_cpu else gpus[0]}, {config.get('hardware.precision')}"


# ---- files -------------------------------------------------------------------------------------------------------


def write_record(path: Path, record: Record, *, experiments: Path) -> None:
    """Write the record, and the table in `experiments`/README.md anew from all records there."""
    write_json(path, record)
    readme = experiments / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else f"{HEADER}\n{BEGIN}\n{END}\n"
    write_text(readme, with_table(text, table(read_records(experiments))))


def read_records(experiments: Path) -> dict[Path, Record]:
    """Every record beneath a folder `experiments`, by path."""
    found = {path: read_json(path) for path in sorted(experiments.rglob("*.json"))}
    return {path: record for path, record in found.items() if "recipe_hash" in record}


def with_table(text: str, table: str) -> str:
    """The text with what stands between the marks replaced; without marks, the table comes at the end."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        before, after = text.rstrip() + "\n\n", "\n"
    return f"{before}{BEGIN}\n{table}{END}{after}"


def table(records: dict[Path, Record]) -> str:
    """Markdown: one line for each record."""
    lines = ["| recipe | result | seeds | time of a run | hardware | commit |", "|---|---|---|---|---|---|"]
    lines += [_table_line(record) for _, record in sorted(records.items())]
    return "\n".join(lines) + "\n"


def _table_line(record: Record) -> str:
    runs = record["runs"]
    shown = list(record["metrics"].items())[:2]
    result = "<br>".join(f"{name} {_spread(summary)}" for name, summary in shown)
    seconds = [run["seconds"] for run in runs if run["seconds"] is not None]
    commits = dict.fromkeys(f"{(run['commit'] or '-')[:9]}{'+' if run['uncommitted'] else ''}" for run in runs)
    machines = dict.fromkeys(run["hardware"] for run in runs)
    cells = [
        f"[{record['recipe']}]({record['recipe']}.yaml): {record['about']}",
        result,
        _listing([str(run["seed"]) for run in runs], limit=6),
        duration(mean(seconds)) if seconds else "",
        "<br>".join(machines),
        "<br>".join(commits),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _spread(summary: dict[str, Any]) -> str:
    text = number_text(summary["mean"])
    return text if summary["std"] is None else f"{text} ± {number_text(summary['std'])}"


def to_text(record: Record) -> str:
    """What a record says, for the terminal."""
    width = max([24, *map(len, record["metrics"])])
    lines = [f"  {name:<{width}}  {_spread(s)}  {json.dumps(s['per_seed'])}" for name, s in record["metrics"].items()]
    return "\n".join(lines)


def _listing(names: list[str], *, limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
