"""A recipe with its overrides, as Hydra composed it."""

import os
from dataclasses import dataclass, field

from omegaconf import DictConfig, OmegaConf

# Six hexadecimal digits, the same for the whole process: the end of the run folder's name.
RUN_ID = os.urandom(3).hex()


@dataclass
class Composed:
    """A recipe with its overrides, composed and resolved; not yet checked."""

    cfg: DictConfig
    """Interpolations are resolved, except those that read the environment: they may hold secrets."""
    recipe: str
    """`classification/moving_digits`."""
    overrides: list[str]
    """As typed, without the recipe."""
    run_dir: str
    """hydra.run.dir, resolved."""
    choices: dict[str, str] = field(default_factory=dict)
    """Group -> option: `{"model": "cnn3d_small", "callbacks": "[checkpoint]"}`."""
    interpolations: dict[str, str] = field(default_factory=dict)
    """Full key -> what was written there before it was resolved: `{"dataset.seed": "${seed}"}`."""
    around: DictConfig = field(default_factory=OmegaConf.create)
    """`sweep` and `launcher`: what is no part of any one run, nor of its config.yaml."""
    sweep_dir: str = ""
    """hydra.sweep.dir, resolved."""

    @property
    def is_new_each_time(self) -> bool:
        """Does the run folder have another name in each process?"""
        return RUN_ID in self.run_dir
