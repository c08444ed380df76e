"""videxp check: everything that can be checked before training. Nothing is written; torch is not even imported.

With --batch the data is prepared, everything is built, and one batch goes through the network.
"""

import json
import shlex
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest

if TYPE_CHECKING:
    from omegaconf import DictConfig

SUMMARY = "RECIPE [overrides]        find every problem of a config before anything is built"
USAGE = """usage: videxp check RECIPE [key=value ...] [--batch] [--json]

  --batch   also prepare the data, build everything and send one batch through the network
  --json    print JSON"""
FLAGS = {"--batch", "--json"}


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0 if arguments else 2
    flags = {argument for argument in arguments if argument.startswith("--")}
    if unknown := sorted(flags - FLAGS):
        raise BadRequest(f"{unknown[0]}: unknown option of check; it takes {' and '.join(sorted(FLAGS))}")
    recipe, *overrides = [argument for argument in arguments if argument not in flags]
    try:
        composed = config.compose(recipe, overrides)
        config.refuse(config.check(composed))
        found = summary(composed) | (try_one_batch(composed.cfg) if "--batch" in flags else {})
    except BadRequest as error:
        if "--json" not in flags:
            raise
        print(json.dumps({"recipe": recipe, "problems": str(error).splitlines()}))
        return error.exit_status
    if "--json" in flags:
        print(json.dumps({"recipe": composed.recipe, "problems": []} | found))
        return 0
    print(f"{composed.recipe}: no problem found")
    for name, text in found.items():
        print(f"  {name:<10} {text}")
    if "--batch" not in flags:
        request = shlex.join([recipe, *overrides])
        print(f"  next       videxp check {request} --batch")
        print(f"             videxp train {request}")
    return 0


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
