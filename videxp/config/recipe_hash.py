"""What a recipe is, apart from who runs it where: the resolved config without seed, hardware, logger and run.

Left out is also what follows from these (`dataset.seed: ${seed}`) or from the environment (`dataset.root`), as the YAML
itself says, so that no list of such keys has to be kept; and what is null, which is to say nothing: a new option, null
where it is not used, makes no other recipe of those that were recorded before.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from videxp.config.composing.recipe import compose
from videxp.config.saving import flat

RUN_PARTS = frozenset({"seed", "hardware", "logger", "run", "sweep", "launcher"})
REFERENCE = re.compile(r"\$\{\s*([.\w]+)\s*\}")
FROM_OUTSIDE = re.compile(r"\$\{\s*(oc\.env|now|run_id|hydra)\s*:")


@dataclass(frozen=True)
class Recipe:
    """A recipe as it stands in its file now."""

    name: str
    values: dict[str, Any]
    """Flat: {"optimizer.lr": 0.003}, without what belongs to a run."""
    run_keys: frozenset[str]
    """The keys, or beginnings of keys, that belong to a run."""

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the values, whatever their order."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, config: dict[str, Any]) -> list[str]:
        """How a run's flat config departs from it: `["optimizer.lr=0.001 (recipe: 0.003)"]`."""
        found = _part_of_recipe(config, self.run_keys)
        keys = [k for k in sorted(found.keys() | self.values.keys()) if _of(found, k) != _of(self.values, k)]
        return [f"{key}={_of(found, key)} (recipe: {_of(self.values, key)})" for key in keys]


def read_recipe(name: str) -> Recipe:
    """Compose a recipe without overrides. Raises BadRequest where it is unknown or does not compose."""
    composed = compose(name, [])
    run_keys = keys_of_a_run(composed.interpolations)
    return Recipe(composed.recipe, _part_of_recipe(flat(composed.cfg), run_keys), run_keys)


def keys_of_a_run(interpolations: dict[str, str]) -> frozenset[str]:
    """RUN_PARTS, and every key that was written as something that refers to one of them, directly or through others."""
    keys = RUN_PARTS
    while True:
        more = {key for key, text in interpolations.items() if _refers(key, text, keys)} - keys
        if not more:
            return keys
        keys |= more


def belongs(key: str, keys: frozenset[str]) -> bool:
    """Is `key` one of `keys`, or beneath one?"""
    parts = key.split(".")
    return any(".".join(parts[:number]) in keys for number in range(1, len(parts) + 1))


def _part_of_recipe(config: dict[str, Any], run_keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None and not belongs(key, run_keys)}


def _refers(key: str, text: str, keys: frozenset[str]) -> bool:
    references = [_absolute(name, key) for name in REFERENCE.findall(text)]
    return bool(FROM_OUTSIDE.search(text)) or any(belongs(name, keys) for name in references)


def _absolute(name: str, key: str) -> str:
    """`.name` at `dataset.root` is `dataset.name`; each further dot is one level up."""
    dots = len(name) - len(name.lstrip("."))
    above = key.split(".")[:-dots] if dots else []
    return ".".join([*above, name[dots:]])


def _of(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "null"
