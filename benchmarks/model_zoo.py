"""docs/model_zoo.md: the networks of conf/model/, our figures beside the published ones of benchmarks/published.yaml.

    make zoo                  # all of it; minutes
    python benchmarks/model_zoo.py --time x3d_s c3d    # others' seconds stay as they are on the page
    python benchmarks/model_zoo.py --nano              # the shrunk networks' training steps alone, printed and written

Ours are counted from what each YAML builds, without computing; seconds are of one clip through the network, the median
of three after one that doesn't count. Tests compare the counted columns with what the code gives (tests/models).
"""

import argparse
import os
import platform
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf

from videxp.models import count_parameters, gmacs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/model_zoo.md"
PUBLISHED: dict[str, Any] = yaml.safe_load((ROOT / "benchmarks/published.yaml").read_text())
TOO_SLOW_SECONDS = 20
NANO_BATCH, NANO_STEPS = 8, 7

HEAD = """# The models, and what is published of them

Written by `make zoo` from `conf/model/`, the code and `benchmarks/published.yaml`; not to be edited. Parameters and
GMACs (billions of multiply-accumulates of one clip; "GFLOPs" in papers) are of what each YAML builds when nothing is
overridden, counted by `videxp.models.count_parameters` and `gmacs`; the tests hold both to the published ones.
Accuracies, PSNR and scores are the sources', not measured by videxp."""
CLASSIFICATION = """
## Classification

Kinetics-400, 400 classes, RGB. Views of the published top-1 accuracy (%) are temporal clips x spatial crops.
Seconds: one clip through the network, batch 1, float32; -: more than {too_slow}. They drift with the load.
Measured on {machine}.
Sources that count poolings, norms or sums too have up to 1.2 % more GMACs for the same network.
"""
SUPER_RESOLUTION = """
## Super-resolution, x4

PSNR/SSIM: REDS4 in RGB, Vid4 (bicubic) in luma.
"""
GENERATION = """
## Generation
"""
NANO = """
## Shrunk to train in milliseconds

What the tests train (`tests/models/catalogue.py`): the same code with these arguments (`+model.width=8` on the command
line), 5 classes. Seconds of one training step: {batch} clips forward and backward through cross-entropy and a step of
AdamW, float32, the median of {steps} after two that don't count.
{measured}
"""
CHECKPOINTS = """
## Public checkpoints that load

`model.weights=PATH` (or a URL) reads these projects' files by name; the classifier starts anew where the number of
classes differs. Every other tensor must be there and fit: what doesn't is said.
"""
SOURCES = """
## Sources
"""


def build(name: str) -> torch.nn.Module:
    """What conf/model/NAME.yaml describes when nothing is overridden."""
    return instantiate(OmegaConf.load(ROOT / f"conf/model/{name}.yaml"), _convert_="all")


def counted(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return build(name)


def seconds_per_clip(name: str, num_frames: int, size: int) -> str:
    """Wall-clock time of the network on one clip; a dash where it takes too long to be waited for."""
    network, video = build(name).eval(), torch.randn(1, num_frames, 3, size, size)
    took = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            network(video)
            took.append(time.perf_counter() - start)
            if took[0] > TOO_SLOW_SECONDS:
                return "-"
    return f"{statistics.median(took[1:]):.2g}"


def recipes() -> dict[str, list[str]]:
    """Recipes of experiments/ by the model that they train."""
    found = defaultdict(list)
    for path in sorted((ROOT / "experiments").rglob("*.yaml")):
        recipe = path.relative_to(ROOT).as_posix()
        name = recipe.removeprefix("experiments/").removesuffix(".yaml")
        found[trained_model(path)].append(f"[`{name}`](../{recipe})")
    return found


def trained_model(recipe: Path) -> str:
    """Its own, or that of the recipe that it inherits from."""
    text = recipe.read_text()
    if own := re.search(r"override /model: (\w+)", text):
        return own[1]
    parent = re.search(r"^  - (/experiments/\S+)", text, flags=re.MULTILINE)
    return trained_model(Path(f"{ROOT}{parent[1]}.yaml")) if parent else ""


def classifier(name: str, facts: dict[str, Any]) -> dict[str, str]:
    """A row but for its recipes and seconds."""
    network, (num_frames, size) = counted(name), facts["clip"]
    return {
        "model": f"`{name}`",
        "input": f"{num_frames}x{size}x{size}",
        "parameters": f"{count_parameters(network):,}",
        "published parameters": _printed(facts),
        "GMACs": f"{gmacs(network, num_frames=num_frames, size=size):.4g}",
        "published GMACs": _published_gmacs(facts),
        "top-1": str(facts.get("accuracy", "-")),
        "views": facts.get("views", "-"),
        "source": ", ".join(filter(None, [facts["source"], facts.get("accuracy_from")])),
    }


def restorer(name: str, facts: dict[str, Any]) -> dict[str, str]:
    return {
        "model": f"`{name}`",
        "parameters": f"{count_parameters(counted(name)):,}",
        "published parameters": _printed(facts),
        "published result": facts.get("result", "-"),
        "source": facts["source"],
    }


def gan(name: str, facts: dict[str, Any]) -> dict[str, str]:
    network: Any = counted(name)
    ours = {key: count_parameters(part) for key, part in network.discriminators.items()}
    return {
        "model": f"`{name}`",
        "generator": f"{count_parameters(network.generator):,}",
        "published generator": "-" if _is_ours(facts) else f"{facts['generator']:,}",
        "discriminators": _named(ours),
        "published discriminators": "-" if _is_ours(facts) else _named(facts["discriminators"]),
        "published result": facts.get("result", "-"),
        "source": facts["source"],
    }


def _is_ours(facts: dict[str, Any]) -> bool:
    return facts["source"] == "own"


def _printed(facts: dict[str, Any]) -> str:
    return "-" if _is_ours(facts) else facts.get("printed", f"{facts['parameters']:,}")


def _published_gmacs(facts: dict[str, Any]) -> str:
    source = facts.get("gmacs_from", facts["source"])
    if source == "own":
        return "-"
    return f"{facts['gmacs']:g}" if source == facts["source"] else f"{facts['gmacs']:g} ({source})"


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{key} {count:,}" for key, count in counts.items())


# ---- shrunk networks ---------------------------------------------------------------------------------------------


def nano_rows() -> list[dict[str, str]]:
    """A row for each classifier with its seconds measured now."""
    sys.path.insert(0, str(ROOT))
    from tests.models.catalogue import CATALOGUE, build_tiny

    rows = []
    for name in PUBLISHED["classifiers"]:
        network, (num_frames, size) = build_tiny(name), CATALOGUE[name].clip
        arguments = ", ".join(f"{key}={_plain(value)}" for key, value in CATALOGUE[name].tiny.items())
        rows.append(
            {
                "shrunk": f"nano `{name}`",
                "arguments": f"`{arguments}`",
                "clip": f"{num_frames}x{size}x{size}",
                "parameters": f"{count_parameters(network):,}",
                "seconds of a step": f"{seconds_per_step(network, num_frames, size):.2g}",
            }
        )
    return rows


def _plain(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def seconds_per_step(network: torch.nn.Module, num_frames: int, size: int) -> float:
    """Wall-clock time of one training step on random clips."""
    video = torch.randn(NANO_BATCH, num_frames, 3, size, size)
    label = torch.randint(5, (NANO_BATCH,))
    optimizer = torch.optim.AdamW(network.train().parameters())
    took = []
    for _ in range(NANO_STEPS + 2):
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(video), label).backward()
        optimizer.step()
        took.append(time.perf_counter() - start)
    return statistics.median(took[2:])


def nano_section(threads: int) -> str:
    text = NANO.format(batch=NANO_BATCH, steps=NANO_STEPS, measured=f"Measured on {_machine(threads)}, {_load()}.")
    return "\n".join([text, *table(nano_rows())])


def _nano_on_page() -> str:
    """The section as it stands; nothing where there is none."""
    found = re.search(r"\n## Shrunk.*?(?=\n\n## )", PAGE.read_text(), flags=re.DOTALL)
    return found[0] if found else ""


def _load() -> str:
    """How busy the machine was with other things, which the seconds drift with."""
    return f"load average {os.getloadavg()[0]:.1f} over {os.cpu_count()} cores"


# ---- the page ----------------------------------------------------------------------------------------------------


def table(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Markdown; the first row's keys are the heads of the columns."""
    yield "| " + " | ".join(rows[0]) + " |"
    yield "|---" * len(rows[0]) + "|"
    for row in rows:
        yield "| " + " | ".join(row.values()) + " |"


def page(seconds: dict[str, str], nano: str, *, threads: int) -> Iterator[str]:
    """The pieces of docs/model_zoo.md; `seconds` by name of the classifier, `nano` the section of the shrunk ones."""
    trained_by = recipes()

    def with_recipes(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
        return [{**row, "recipes": ", ".join(trained_by[row["model"].strip("`")]) or "-"} for row in rows]

    classifiers = with_recipes(classifier(name, facts) for name, facts in PUBLISHED["classifiers"].items())
    for row in classifiers:
        row["seconds"] = seconds[row["model"].strip("`")]
    yield HEAD
    yield CLASSIFICATION.format(machine=_machine(threads), too_slow=TOO_SLOW_SECONDS)
    yield from table(classifiers)
    yield SUPER_RESOLUTION
    yield from table(with_recipes(restorer(name, facts) for name, facts in PUBLISHED["restorers"].items()))
    yield GENERATION
    yield from table(with_recipes(gan(name, facts) for name, facts in PUBLISHED["gans"].items()))
    if nano:
        yield nano
    yield CHECKPOINTS
    rows = [
        {
            "project": entry["project"],
            "models": ", ".join(f"`{name}`" for name in entry["models"]),
            "files": entry["files"],
        }
        for entry in PUBLISHED["checkpoints"]
    ]
    yield from table(rows)
    yield SOURCES
    yield from (f"- {name}: {text}" for name, text in PUBLISHED["sources"].items())


def _machine(threads: int) -> str:
    cores = "1 thread" if threads == 1 else f"{threads} threads"
    known = re.search(r"model name\s*: (.+)", _text("/proc/cpuinfo"))
    return f"{cores} of {known[1] if known else platform.machine()}, torch {torch.__version__}, {date.today()}"


def _text(path: str) -> str:
    return Path(path).read_text() if os.path.exists(path) else ""


def _seconds_on_page() -> dict[str, str]:
    """{"x3d_s": "0.72"}: the last column of the first table."""
    first_table = PAGE.read_text().split("## Super-resolution")[0]
    return dict(re.findall(r"^\| `(\w+)` .* \| ([\d.e-]+) \|$", first_table, flags=re.MULTILINE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    known = PUBLISHED["classifiers"]
    parser.add_argument("--time", nargs="*", choices=known, metavar="MODEL", help="measure these alone; default: all")
    parser.add_argument("--nano", action="store_true", help="measure training steps of the shrunk networks alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    whole = options.time is None and not options.nano
    seconds = {} if whole else _seconds_on_page()
    for name, facts in PUBLISHED["classifiers"].items():
        if whole or name in (options.time or ()) or name not in seconds:
            seconds[name] = seconds_per_clip(name, *facts["clip"])
    nano = nano_section(options.threads) if whole or options.nano else _nano_on_page()
    if options.nano:
        print(nano)
    PAGE.write_text("\n".join(page(seconds, nano, threads=options.threads)) + "\n")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
