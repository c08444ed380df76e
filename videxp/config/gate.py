"""What a config may build. `_target_` is code execution, so the decision is made on the object, not on its name.

Allowed is what is defined in an allowed package, is reached through one, and is
  - a class of one of the kinds that videxp builds (networks, optimizers, callbacks, ...),
  - any class of videxp's own or of a package that the user names,
  - one of a few functions that return a network.
A method (`LightningModule.load_from_checkpoint`), a function met by the way (`torch.nn.modules.container.torch.load`)
and whatever another package defines (`logging.os.system`) is none of these.
"""

import importlib
import inspect
import sys
from collections.abc import Iterable
from typing import Any

from videxp.core.errors import BadRequest
from videxp.core.own_packages import user_packages

PACKAGES = frozenset(
    ["videxp", "torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning_fabric", "transformers", "timm"]
)

# Not torch's data sets: some unpickle files as soon as they are looped over (torch.utils.data.datapipes). videxp's own
# and the user's are allowed by their package.
KINDS = frozenset(
    {
        "torch.nn.modules.module.Module",
        "torch.optim.optimizer.Optimizer",
        "torch.optim.lr_scheduler.LRScheduler",
        "torchmetrics.metric.Metric",
        "pytorch_lightning.core.module.LightningModule",
        "pytorch_lightning.core.datamodule.LightningDataModule",
        "pytorch_lightning.callbacks.callback.Callback",
        "pytorch_lightning.loggers.logger.Logger",
        "pytorch_lightning.profilers.profiler.Profiler",
        "pytorch_lightning.trainer.trainer.Trainer",
    }
)

# Functions that return a network, by the module that defines them.
FUNCTION_MODULES = {
    "torchvision.models.video.resnet": {"r3d_18", "mc3_18", "r2plus1d_18"},
    "torchvision.models.video.s3d": {"s3d"},
    "torchvision.models.video.mvit": {"mvit_v1_b", "mvit_v2_s"},
    "torchvision.models.video.swin_transformer": {"swin3d_t", "swin3d_s", "swin3d_b"},
    "torchvision.models.resnet": {"resnet18", "resnet34", "resnet50", "resnet101"},
}

# videxp's own functions that a config may call; elsewhere a function may write files or run programs.
OWN_FUNCTIONS = ("videxp.models", "videxp.losses", "videxp.metrics", "videxp.transforms", "videxp.tasks")


def is_inside(module: str, packages: Iterable[str]) -> bool:
    """Is `a.b.c` one of the packages or in one? `is_inside("torch.nn", {"torch"})`."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def refusal_of_name(target: str) -> str:
    """Why `target` may not even be imported; "" if it may. Importing a module runs it."""
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        return "not a dotted name; write package.module.Class"
    if not is_inside(target, PACKAGES | user_packages()):
        standard = parts[0] in sys.stdlib_module_names
        remedy = "a class of videxp or torch is wanted" if standard else f"VIDEXP_ALLOW={parts[0]} adds it"
        return f"{parts[0]} is not on the list of packages to build from; {remedy}"
    return ""


def refusal(*, module: str, qualname: str, lineage: Iterable[str], kind: str) -> str:
    """Why an object may not be built; "" if it may.

    `lineage` holds the full names of a class and its bases, `kind` is "class", "function" or another word.
    """
    own = user_packages() | {"videxp"}
    full = f"{module}.{qualname}"
    if not is_inside(module, PACKAGES | own):
        return f"is really {full}, which is outside the packages to build from"
    if "." in qualname or not qualname.isidentifier() or kind not in ("class", "function"):
        return f"is really {full}, neither a class nor a function of a module"
    if kind == "class":
        if is_inside(module, own) or KINDS & set(lineage):
            return ""
        return (
            f"is really the class {full}, not of a kind that a config may build (networks, optimizers, callbacks, ...)"
        )
    if qualname in FUNCTION_MODULES.get(module, ()) or is_inside(module, user_packages()):
        return ""
    if is_inside(module, OWN_FUNCTIONS) and not qualname.startswith("_"):
        return ""
    return f"is really the function {full}, which a config may not call"


def refusal_of_object(target: Any) -> str:
    """The same for a real object."""
    kind = "class" if inspect.isclass(target) else "function" if inspect.isfunction(target) else type(target).__name__
    module, qualname = getattr(target, "__module__", None), getattr(target, "__qualname__", "")
    lineage = [f"{c.__module__}.{c.__qualname__}" for c in inspect.getmro(target)] if inspect.isclass(target) else []
    return refusal(module=str(module), qualname=str(qualname), lineage=lineage, kind=kind)


def resolve(target: str) -> Any:
    """The object that a dotted name means, if a config may build it.

    Raises BadRequest naming the target and the reason; nothing outside the allowed packages is imported.
    """
    if reason := refusal_of_name(target):
        raise BadRequest(f"_target_={target}: {reason}")
    found = _locate(target)
    if reason := refusal_of_object(found):
        raise BadRequest(f"_target_={target}: {reason}")
    return found


def _locate(target: str) -> Any:
    parts = target.split(".")
    found: Any = importlib.import_module(parts[0])
    for position, part in enumerate(parts[1:], start=1):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(parts[: position + 1]))
            except ModuleNotFoundError as error:
                raise BadRequest(f"_target_={target}: {'.'.join(parts[:position])} has no {part}") from error
    return found
