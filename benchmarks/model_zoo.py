"""docs/model_zoo.md: the networks of conf/model/, our figures beside the published ones of tests/models/facts/.

    make zoo                  # all of it; minutes
    python -m benchmarks.model_zoo --time           # new models' seconds; others' stay as they are on the page
    python -m benchmarks.model_zoo --time x3d_s     # these models', too

Ours are counted from what each YAML builds, without computing; seconds are of one clip through the network, the median
of three after one that doesn't count. Tests compare the counted columns with what the code gives (tests/models).
"""

import argparse
import os
import platform
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from tests.models.zoo import ZOO, Model, build_tiny
from videxp.models.summary import count_parameters, gmacs, gmacs_of_call

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/model_zoo.md"
TOO_SLOW_SECONDS = 20
STEP_BATCH, STEPS = 8, 7

HEAD = """# The models, and what is published of them

Written by `make zoo` from `conf/model/`, the code and `tests/models/facts/`; not to be edited. Parameters and
GMACs (billions of multiply-accumulates of one clip; "GFLOPs" in papers) are of what each YAML builds when nothing is
overridden, counted by `videxp.models.count_parameters` and `gmacs`; the tests hold both to the published ones.
Accuracies, PSNR and scores are the sources', not measured by videxp."""
CLASSIFICATION = """
## Classification

Kinetics-400, 400 classes, RGB. Views of the published top-1 accuracy (%) are temporal clips x spatial crops.
Seconds: one clip through the network, batch 1, float32; -: more than {too_slow}. They drift with the load.
{measured}
Sources that count poolings, norms or sums too have up to 1.2 % more GMACs for the same network.
"""
RESTORATION = """
## Restoration

PSNR/SSIM of super-resolution (x4): REDS4 in RGB, Vid4 (bicubic) in luma. PSNR of denoising: Gaussian noise that is not
clipped, in RGB (BSD68: grey).
"""
GENERATION = """
## Generation
"""
SCENES = """
## Scenes

Shot boundaries. The input is frames x height x width of one window, of which the middle half counts:
of windows of 100 frames an answer waits for 25 to 74 later ones.
"""
DETECTION = """
## Detection

Boxes. Classes are those of the published counts; the input, frames x height x width, is what GMACs are of.
torchvision's detectors enlarge frames to at least 800 pixels, SSDLite makes them 320x320: GMACs are the source's.
"""
SHRUNK = """
## Shrunk to train in milliseconds

What the tests train (`tests/models/facts/`): the same code with these arguments (`+model.width=8` on the command
line), 5 classes. Seconds of one training step: {batch} clips forward and backward through cross-entropy and a step of
AdamW, float32, the median of {steps} after two that don't count.
{measured}
"""
CHECKPOINTS = """
## Public checkpoints that load

`model.weights=PATH` (or a URL) reads these projects' files by name; the classifier starts anew where the number of
classes differs, and `videxp train` says so. Every other tensor must be there and fit: what doesn't is said. The file is
read when a training begins; what follows (resume, evaluate, predict) goes by the run's checkpoints, without it.
"""
SOURCES = """
## Sources
"""
KINDS_OF_SOURCE = {
    "paper": "the paper that the header of the model's file names",
    "hand": "counted by hand from the paper's layers",
    "own": "a network of our own",
}


def models(kind: str) -> list[Model]:
    """Those that are on the page, in the order of their files of facts."""
    return [model for model in ZOO.models.values() if model.published and model.kind == kind]


def counted(model: Model) -> torch.nn.Module:
    with torch.device("meta"):
        return model.build()


def seconds_per_clip(model: Model) -> str:
    """Wall-clock time of the network on one clip; a dash where it takes too long to be waited for."""
    num_frames, size = model.published["clip"]
    network, video = model.build().eval(), torch.randn(1, num_frames, 3, size, size)
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


def classifier(model: Model) -> dict[str, str]:
    """A row but for its recipes and seconds."""
    network, facts = counted(model), model.published
    num_frames, size = facts["clip"]
    return {
        "model": f"`{model.name}`",
        "input": f"{num_frames}x{size}x{size}",
        "parameters": f"{count_parameters(network):,}",
        "published parameters": _printed(facts),
        "GMACs": f"{gmacs(network, num_frames=num_frames, size=size):.4g}",
        "published GMACs": _published_gmacs(facts),
        "top-1": str(facts.get("accuracy", "-")),
        "views": facts.get("views", "-"),
        "source": ", ".join(filter(None, [facts["source"], facts.get("accuracy_from")])),
    }


def restorer(model: Model) -> dict[str, str]:
    facts = model.published
    return {
        "model": f"`{model.name}`",
        "parameters": f"{count_parameters(counted(model)):,}",
        "published parameters": _printed(facts),
        "published result": facts.get("result", "-"),
        "source": facts["source"],
    }


def gan(model: Model) -> dict[str, str]:
    network: Any = counted(model)
    facts = model.published
    ours = {key: count_parameters(part) for key, part in network.discriminators.items()}
    return {
        "model": f"`{model.name}`",
        "generator": f"{count_parameters(network.generator):,}",
        "published generator": "-" if _is_ours(facts) else f"{facts['generator']:,}",
        "discriminators": _named(ours),
        "published discriminators": "-" if _is_ours(facts) else _named(facts["discriminators"]),
        "published result": facts.get("result", "-"),
        "source": facts["source"],
    }


def scene_network(model: Model) -> dict[str, str]:
    network, facts = counted(model), model.published
    frames, height, width = facts["window"]
    video = torch.empty(1, frames, 3, height, width, device="meta")
    return {
        "model": f"`{model.name}`",
        "input": f"{frames}x{height}x{width}",
        "parameters": f"{count_parameters(network):,}",
        "published parameters": _printed(facts),
        "GMACs": f"{gmacs_of_call(network, video):.4g}",
        "published result": facts.get("result", "-"),
        "source": facts["source"],
    }


def detector(model: Model) -> dict[str, str]:
    network, facts = counted(model), model.published
    frames, size = facts.get("clip", (1, None))
    return {
        "model": f"`{model.name}`",
        "classes": str(facts["classes"]),
        "input": f"{frames}x{size}x{size}" if size else "1 frame",
        "parameters": f"{count_parameters(network):,}",
        "published parameters": _printed(facts),
        "GMACs": f"{gmacs(network, num_frames=frames, size=size):.4g}" if size else "-",
        "published GMACs": _published_gmacs(facts),
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


def shrunk(model: Model, seconds: str) -> dict[str, str]:
    """A row of the table of shrunk classifiers."""
    num_frames, size = model.tiny_clip
    return {
        "shrunk": f"nano `{model.name}`",
        "arguments": "`" + ", ".join(f"{key}={value}" for key, value in model.tiny.items()) + "`",
        "clip": f"{num_frames}x{size}x{size}",
        "parameters": f"{count_parameters(build_tiny(model.name)):,}",
        "seconds of a step": seconds,
    }


def seconds_per_step(model: Model) -> str:
    """Wall-clock time of one training step of the shrunk network on random clips."""
    network, (num_frames, size) = build_tiny(model.name), model.tiny_clip
    video = torch.randn(STEP_BATCH, num_frames, 3, size, size)
    label = torch.randint(5, (STEP_BATCH,))
    optimizer = torch.optim.AdamW(network.train().parameters())
    took = []
    for _ in range(STEPS + 2):
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(video), label).backward()
        optimizer.step()
        took.append(time.perf_counter() - start)
    return f"{statistics.median(took[2:]):.2g}"


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


@dataclass
class Timings:
    """The measured figures of the page: seconds by model, and the lines that say where they come from."""

    clip: dict[str, str]
    step: dict[str, str]
    clip_measured: str
    step_measured: str


def timings_on_page() -> Timings:
    text = PAGE.read_text()
    measured = re.findall(r"^Measured on .*", text, flags=re.MULTILINE)
    clip, step = (
        dict(re.findall(rf"^\| {before}`(\w+)` .* \| ([\d.e-]+) \|$", part, flags=re.MULTILINE))
        for before, part in (("", text.split("## Restoration")[0]), ("nano ", text))
    )
    return Timings(clip, step, *measured)


def page(timings: Timings) -> Iterator[str]:
    """The pieces of docs/model_zoo.md."""
    trained_by = recipes()

    def with_recipes(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
        return [{**row, "recipes": ", ".join(trained_by[row["model"].strip("`")]) or "-"} for row in rows]

    classifiers = with_recipes(classifier(model) for model in models("classifier"))
    yield HEAD
    yield CLASSIFICATION.format(measured=timings.clip_measured, too_slow=TOO_SLOW_SECONDS)
    yield from table([{**row, "seconds": timings.clip[row["model"].strip("`")]} for row in classifiers])
    yield RESTORATION
    yield from table(with_recipes(restorer(model) for model in models("restorer")))
    yield GENERATION
    yield from table(with_recipes(gan(model) for model in models("gan")))
    yield SCENES
    yield from table(with_recipes(scene_network(model) for model in models("scenes")))
    yield DETECTION
    yield from table(with_recipes(detector(model) for model in models("detector")))
    yield SHRUNK.format(batch=STEP_BATCH, steps=STEPS, measured=timings.step_measured)
    yield from table([shrunk(model, timings.step[model.name]) for model in models("classifier")])
    yield CHECKPOINTS
    yield from table([{**row, "models": ", ".join(f"`{name}`" for name in row["models"])} for row in ZOO.checkpoints])
    yield SOURCES
    yield from (f"- {name}: {text}" for name, text in {**ZOO.sources, **KINDS_OF_SOURCE}.items())


def _machine(threads: int) -> str:
    cores = "1 thread" if threads == 1 else f"{threads} threads"
    known = re.search(r"model name\s*: (.+)", _text("/proc/cpuinfo"))
    return f"{cores} of {known[1] if known else platform.machine()}, torch {torch.__version__}, {date.today()}"


def _text(path: str) -> str:
    return Path(path).read_text() if os.path.exists(path) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    known = [model.name for model in models("classifier")]
    parser.add_argument("--time", nargs="*", choices=known, metavar="MODEL", help="measure these alone; default: all")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = f"Measured on {_machine(options.threads)}"
    afresh = Timings({}, {}, f"{machine}.", f"{machine}, {_load()}.")
    timings = afresh if options.time is None else timings_on_page()
    for model in models("classifier"):
        for seconds, measure in ((timings.clip, seconds_per_clip), (timings.step, seconds_per_step)):
            if model.name in (options.time or ()) or model.name not in seconds:
                seconds[model.name] = measure(model)
    PAGE.write_text("\n".join(page(timings)) + "\n")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
