"""From YAML to checked objects: compose, check, refuse, build. The only part of the library that knows Hydra.

composed = compose("classification/moving_digits", ["optimizer.lr=1e-3"])
refuse(check(composed))
network = build(composed.cfg.model, num_classes=8)
"""

from typing import TYPE_CHECKING

from videxp.core.lazy import lazy_exports

if TYPE_CHECKING:
    from videxp.config.addresses import refuse_unknown_addresses as refuse_unknown_addresses
    from videxp.config.addresses import remember_addresses as remember_addresses
    from videxp.config.building import build as build
    from videxp.config.checking.advice import remarks as remarks
    from videxp.config.checking.check import check as check
    from videxp.config.checking.check import check_config as check_config
    from videxp.config.checking.fitting_data import require_labels as require_labels
    from videxp.config.checking.targets import accepts_parameter as accepts_parameter
    from videxp.config.composing.composed import Composed as Composed
    from videxp.config.composing.elsewhere import load_for_evaluation as load_for_evaluation
    from videxp.config.composing.launcher import compose_launcher as compose_launcher
    from videxp.config.composing.recipe import compose as compose
    from videxp.config.composing.recipe import compose_dataset as compose_dataset
    from videxp.config.composing.showing import run_hydra_flag as run_hydra_flag
    from videxp.config.environment import environment_values as environment_values
    from videxp.config.places import Choice as Choice
    from videxp.config.places import group_options as group_options
    from videxp.config.places import recipes as recipes
    from videxp.config.places import replaced as replaced
    from videxp.config.places import task_contracts as task_contracts
    from videxp.config.problems import Problem as Problem
    from videxp.config.problems import refuse as refuse
    from videxp.config.problems import suggestion as suggestion
    from videxp.config.recipe_hash import Recipe as Recipe
    from videxp.config.recipe_hash import read_recipe as read_recipe
    from videxp.config.redaction import redacted_keys as redacted_keys
    from videxp.config.redaction import redacted_overrides as redacted_overrides
    from videxp.config.saving import config_hash as config_hash
    from videxp.config.saving import flat as flat
    from videxp.config.saving import load_resolved as load_resolved
    from videxp.config.saving import parse_resolved as parse_resolved
    from videxp.config.saving import plain as plain
    from videxp.config.saving import resolved_text as resolved_text
    from videxp.config.saving import save_overrides as save_overrides
    from videxp.config.saving import save_resolved as save_resolved
    from videxp.config.saving import with_secrets as with_secrets

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "Choice": "videxp.config.places",
        "Composed": "videxp.config.composing.composed",
        "Problem": "videxp.config.problems",
        "Recipe": "videxp.config.recipe_hash",
        "accepts_parameter": "videxp.config.checking.targets",
        "build": "videxp.config.building",
        "check": "videxp.config.checking.check",
        "check_config": "videxp.config.checking.check",
        "compose": "videxp.config.composing.recipe",
        "compose_dataset": "videxp.config.composing.recipe",
        "compose_launcher": "videxp.config.composing.launcher",
        "config_hash": "videxp.config.saving",
        "environment_values": "videxp.config.environment",
        "flat": "videxp.config.saving",
        "group_options": "videxp.config.places",
        "load_for_evaluation": "videxp.config.composing.elsewhere",
        "load_resolved": "videxp.config.saving",
        "parse_resolved": "videxp.config.saving",
        "plain": "videxp.config.saving",
        "resolved_text": "videxp.config.saving",
        "read_recipe": "videxp.config.recipe_hash",
        "recipes": "videxp.config.places",
        "redacted_keys": "videxp.config.redaction",
        "redacted_overrides": "videxp.config.redaction",
        "refuse": "videxp.config.problems",
        "refuse_unknown_addresses": "videxp.config.addresses",
        "remember_addresses": "videxp.config.addresses",
        "remarks": "videxp.config.checking.advice",
        "replaced": "videxp.config.places",
        "require_labels": "videxp.config.checking.fitting_data",
        "run_hydra_flag": "videxp.config.composing.showing",
        "save_overrides": "videxp.config.saving",
        "save_resolved": "videxp.config.saving",
        "suggestion": "videxp.config.problems",
        "task_contracts": "videxp.config.places",
        "with_secrets": "videxp.config.saving",
    },
)
