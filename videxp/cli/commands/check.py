"""videxp check: everything that can be checked before training. Nothing is written; torch is not even imported.

With --batch the data is prepared, everything is built, and one batch goes through the network. With --cost it is told
whether a step fits in memory, and what the training will take: the time of a step is that of `videxp bench` here, or of
what it printed on another machine (--hardware), or given.
"""

import argparse
import json
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.options import OneLineParser, positive
from videxp.core.prices import Prices, add_price_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig

SUMMARY = "RECIPE [overrides]        find every problem of a config before anything is built"
ONLY_COST = ("hardware", "step_ms", "memory_gib", "watts", "price_per_hour", "price_per_kwh", "grams_per_kwh")


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    recipe, overrides = options.recipe, options.overrides
    try:
        composed = config.compose(recipe, overrides)
        config.refuse(config.check(composed))
        found = summary(composed) | (try_one_batch(composed.cfg) if options.batch else {})
        found |= estimate_cost(composed, options) if options.cost else {}
    except BadRequest as error:
        if not options.json:
            raise
        print(json.dumps({"recipe": recipe, "problems": str(error).splitlines()}))
        return error.exit_status
    if options.json:
        print(json.dumps({"recipe": composed.recipe, "problems": []} | found))
        return 0
    print(f"{composed.recipe}: no problem found")
    for name, text in found.items():
        for number, line in enumerate([text] if isinstance(text, str) else text):
            print(f"  {'' if number else name:<10} {line}")
    if not (options.batch or options.cost):
        request = shlex.join([recipe, *overrides])
        print(f"  next       videxp check {request} --batch")
        print(f"             videxp train {request}")
    return 0


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = OneLineParser(prog="videxp check", description=__doc__)
    parser.add_argument("recipe", metavar="RECIPE", help="a name from `videxp list recipes`, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. model=r3d_18")
    parser.add_argument("--batch", action="store_true", help="also prepare the data, and try the network on a batch")
    parser.add_argument("--json", action="store_true", help="print JSON")
    cost = parser.add_argument_group("what the training will take")
    cost.add_argument("--cost", action="store_true", help="memory of a step, hours, kWh and money")
    files = "what videxp bench RECIPE --json printed on another machine; may be repeated"
    cost.add_argument("--hardware", action="append", metavar="FILE", help=files)
    for option, about in (
        ("--step-ms", "time of a training step, instead of measuring it"),
        ("--memory-gib", "memory of the device, where it is not here"),
        ("--watts", "power of the machine in training, where no counter measures it"),
    ):
        cost.add_argument(option, type=positive, metavar="X", help=about)
    add_price_arguments(cost)
    options = parser.parse_intermixed_args(arguments)
    given = [f"--{name.replace('_', '-')}" for name in ONLY_COST if getattr(options, name) is not None]
    if given and not options.cost:
        raise BadRequest(f"check: {given[0]} has no effect without --cost: add that, or leave {given[0]} out")
    if options.hardware and options.step_ms is not None:
        raise BadRequest("check: --hardware and --step-ms both tell the time of a step: leave one out")
    return options


def summary(composed: "config.Composed") -> dict[str, str]:
    """What would be run, and where."""
    from videxp.training.loggers.wandb_environment import overruled

    cfg, choices = composed.cfg, composed.choices
    parts = {
        "dataset": choices.get("dataset", ""),
        "model": f"{choices.get('model', '')} ({cfg.model._target_})",
        "task": choices.get("task", ""),
        "optimizer": f"{choices.get('optimizer', '')}, scheduler {choices.get('scheduler', '')}",
        "hardware": f"{choices.get('hardware', '')}: {cfg.hardware.accelerator}, devices {cfg.hardware.devices}",
        "config": config.config_hash(cfg),
        "run folder": composed.run_dir,
        "W&B": "; ".join(overruled(config.flat(cfg))) if "wandb" in (cfg.logger or {}) else "",
        "own files": ", ".join(config.replaced()),
        "note": "; ".join(config.remarks(cfg)),
    }
    return {name: text for name, text in parts.items() if text}


def try_one_batch(cfg: "DictConfig") -> dict[str, Any]:
    """Prepare, build, and run the network once on one batch of the training split."""
    import torch

    from videxp.training.assembling import build_task

    torch.manual_seed(cfg.seed)
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    config.require_labels(cfg, labels=datamodule.manifest.labels)
    datamodule.setup("fit")
    task = build_task(cfg, classes=datamodule.classes).eval()
    device = "cuda" if torch.cuda.is_available() and cfg.hardware.accelerator != "cpu" else "cpu"
    task.to(device)
    clips = min(cfg.dataset.batch_size, datamodule.counts["train"])
    loaded = datamodule.read("train", range(clips))
    batch = datamodule.transformed(loaded, "train", device=torch.device(device))
    with torch.inference_mode():
        output = task.answer(batch)
    counts = ", ".join(f"{count} {split}" for split, count in datamodule.counts.items())
    return {
        "data": f"{datamodule.name}: {counts} clips, {datamodule.description}",
        "video": f"{_describe(batch['video'])} from {_describe(loaded['clip'])}",
        **({"target": _describe(batch["target"])} if "target" in batch else {}),
        "output": _describe(output),
    }


def _describe(tensor: Any) -> str:
    """`float32 [32,16,3,48,48]`."""
    return f"{str(tensor.dtype).removeprefix('torch.')} [{','.join(str(n) for n in tensor.shape)}]"


def estimate_cost(composed: "config.Composed", options: argparse.Namespace) -> dict[str, Any]:
    """Whether a step fits, and what the training takes on each machine: lines by what they are of."""
    from videxp.training.cost import Machine, cost_lines, device_memory, find_work, measure_here, read_bench
    from videxp.training.log_file import quiet_libraries
    from videxp.training.memory import memory_lines

    quiet_libraries()
    cfg, recipe = composed.cfg, composed.recipe
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    config.require_labels(cfg, labels=datamodule.manifest.labels)
    with tempfile.TemporaryDirectory(prefix="videxp-cost-") as folder:
        work = find_work(cfg, datamodule, Path(folder))
    size, device = device_memory(cfg, given_gib=options.memory_gib)
    if options.step_ms is not None:
        machines = [Machine("as given", options.step_ms)]
    elif options.hardware:
        machines = [read_bench(path, recipe=recipe, clips=work.clips) for path in options.hardware]
    else:
        machines = [measure_here(cfg, recipe)]
    prices = Prices.of(options)
    each = f" on each of {work.devices} devices" if work.devices > 1 else ""
    steps = "no end" if work.batches is None else f"{work.batches:,} steps"
    return {
        "memory": memory_lines(work.memory, device_bytes=size, device=device),
        "training": [f"{steps} of {work.clips} clips{each}; validation, test and start come on top"],
        "cost": [line for machine in machines for line in cost_lines(work, machine, prices, watts=options.watts)],
    }
