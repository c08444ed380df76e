"""The models of conf/model/ and what is known of each: one file of facts per family, named like the network's module.

    sources:                        short names for `source`; beside them `paper` (the network's file names it), `hand`
      SlowFast: ...                 (counted by hand from the paper's layers) and `own` (a network of videxp's own)
    checkpoints:                    files of other projects that `model.weights=PATH` reads
      - project: ...
        files: ...
        models: [x3d_s]             left out: all of the file
    models:
      x3d_s:
        published:                  for docs/model_zoo.md (left out: no row there); classifiers: on Kinetics-400
          parameters: 3_794_274     to the last one; GANs have `generator` and `discriminators: {NAME: COUNT}` instead
          printed: 3.8 M            as the source rounds it, if it does
          classes: 80               of a detector: for so many, and with so many its parameters are counted
          window: [100, 27, 48]     frames, height and width of what a scene network sees at once, with its `gmacs`
          gmacs: 1.96               of one clip of `clip: [FRAMES, SIZE]`, the input of the source
          accuracy: 73.1            top-1 in percent, with `views: CLIPSxCROPS`; others have `result: TEXT`
          source: SlowFast          `gmacs_from`, `accuracy_from`: where another source says that
        tiny: {width_factor: 0.7}   arguments that shrink it to run in milliseconds
        tiny_clip: [4, 32]          frames and size of a clip for the shrunk one; left out: these
        needs: timm                 the optional package that it imports
        twin: true                  the code of another one with other numbers: left out by `make test-fast`
        sees_order: false           the order of frames does not matter to it
        without_effect: [a.b.]      how the names of those parameters begin that no gradient reaches

A new family is its network, its YAML and its facts: the tests and the page find it by themselves.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hydra.utils import get_object
from torch import nn

from videxp.core.limits import Accepts

ROOT = Path(__file__).parents[2]
FACTS = Path(__file__).parent / "facts"


@dataclass(frozen=True)
class Model:
    """One YAML of conf/model/ with its facts, as they are named above."""

    name: str
    config: dict[str, Any]
    published: dict[str, Any] = field(default_factory=dict)
    tiny: dict[str, Any] = field(default_factory=dict)
    tiny_clip: tuple[int, int] = (4, 32)
    needs: str = ""
    twin: bool = False
    sees_order: bool = True
    without_effect: tuple[str, ...] = ()

    @property
    def constructor(self) -> Callable[..., nn.Module]:
        """The class or function that the YAML names."""
        return get_object(self.config["_target_"])

    @property
    def accepts(self) -> Accepts:
        """The clips that it declares to take."""
        return cast(Any, self.constructor).__videxp_accepts__

    @property
    def kind(self) -> str:
        """`classifier`, `restorer`, `gan`, `scenes` or `detector`, by what is published of it."""
        if "generator" in self.published:
            return "gan"
        if "window" in self.published:
            return "scenes"
        if "classes" in self.published:
            return "detector"
        return "classifier" if "gmacs" in self.published else "restorer"

    def build(self, **arguments: Any) -> nn.Module:
        """The published network, as the YAML describes it, or as `arguments` change it."""
        own = {key: value for key, value in self.config.items() if key != "_target_"}
        return self.constructor(**own | arguments)


@dataclass(frozen=True)
class Zoo:
    """Models by name, in the order of the files of facts; short names of sources; rows of public checkpoints."""

    models: dict[str, Model]
    sources: dict[str, str]
    checkpoints: list[dict[str, Any]]


def read_zoo(facts: Path = FACTS, conf: Path = ROOT / "conf/model") -> Zoo:
    """All files of facts in a folder. Raises AssertionError where two say something else of one source."""
    zoo = Zoo({}, {}, [])
    for path in sorted(facts.glob("*.yaml")):
        family = yaml.safe_load(path.read_text())
        for name, known in family["models"].items():
            config = yaml.safe_load((conf / f"{name}.yaml").read_text())
            zoo.models[name] = Model(name, config, **{key: _hashable(value) for key, value in known.items()})
        for name, text in family.get("sources", {}).items():
            assert zoo.sources.setdefault(name, text) == text, f"{path}: {name}"
        for row in family.get("checkpoints", []):
            _add_checkpoint(zoo.checkpoints, row["project"], row.get("models", list(family["models"])), row["files"])
    return zoo


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _add_checkpoint(rows: list[dict[str, Any]], project: str, models: list[str], files: str) -> None:
    """The same files for another family go into the row that is there."""
    same = [row for row in rows if (row["project"], row["files"]) == (project, files)]
    if same:
        same[0]["models"] += models
    else:
        rows.append({"project": project, "models": [*models], "files": files})


ZOO = read_zoo()
MODELS = ZOO.models
FILES = {path.stem: path for path in (ROOT / "conf/model").rglob("*.yaml")}


def named(kind: str, models: dict[str, Model] = MODELS) -> list[str]:
    """Names of the published models of a kind, in alphabetical order."""
    return sorted(name for name, model in models.items() if model.published and model.kind == kind)


CLASSIFIERS, RESTORERS, GANS, SCENES, DETECTORS = (
    named(kind) for kind in ("classifier", "restorer", "gan", "scenes", "detector")
)
OPTIONAL = {name: model.needs for name, model in MODELS.items() if model.needs}
ALWAYS = [name for name in CLASSIFIERS if name not in OPTIONAL]


def cases(names: Iterable[str]) -> list[Any]:
    """Names as parameters of a test; the twins and those that import an optional package are slow."""
    slow = {name for name, model in MODELS.items() if model.twin or model.needs}
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in sorted(names)]


def build(name: str, **arguments: Any) -> nn.Module:
    """The published network, or as `arguments` change it."""
    return MODELS[name].build(**arguments)


def build_tiny(name: str, **arguments: Any) -> nn.Module:
    """The classifier, shrunk to run in milliseconds; 5 classes."""
    return build(name, **{"num_classes": 5, **MODELS[name].tiny, **arguments})
