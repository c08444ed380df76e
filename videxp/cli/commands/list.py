"""videxp list: what there is to choose from, read from the YAML files themselves."""

import json
from dataclasses import asdict
from typing import Any

from videxp.config import Choice, group_options, recipes, suggestion, task_contracts
from videxp.core.errors import BadRequest
from videxp.core.options import OneLineParser
from videxp.core.printable import as_typed_here

SUMMARY = "[recipes|datasets|...]    what there is, with one line each"
# What one types -> the group under conf/.
GROUPS = {
    "datasets": "dataset",
    "models": "model",
    "optimizers": "optimizer",
    "schedulers": "scheduler",
    "tasks": "task",
    "hardware": "hardware",
    "launchers": "launcher",
    "trainers": "trainer",
    "loggers": "logger",
    "callbacks": "callbacks",
}
# Singular and plural mean the same.
ALIASES = {"recipe": "recipes", "callback": "callbacks", "experiments": "recipes", "experiment": "recipes"} | {
    group: plural for plural, group in GROUPS.items()
}


def main(arguments: list[str]) -> int:
    kinds = ["recipes", *GROUPS]
    parser = OneLineParser(prog="videxp list", description=__doc__)
    parser.add_argument("kind", nargs="?", metavar="KIND", help=", ".join(kinds))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    kind = ALIASES.get(options.kind, options.kind)
    if kind is not None and kind not in kinds:
        raise BadRequest(f"list {kind}: unknown kind; {suggestion(kind, kinds, limit=20)}")
    found = {kind: choices_of(kind) for kind in ([kind] if kind else kinds)}
    if options.json:
        described = {kind: [_as_dict(choice) for choice in choices] for kind, choices in found.items()}
        contracts = task_contracts() if "tasks" in described else {}
        for task in described.get("tasks", []):
            task["contract"] = asdict(contracts[task["name"]]) if task["name"] in contracts else None
        print(json.dumps(described))
        return 0
    for kind, choices in found.items():
        if len(found) > 1:
            print(f"{kind}  (videxp list {kind})")
        width = max((len(choice.name) for choice in choices), default=0)
        for choice in choices:
            print(f"  {choice.name:<{width}}  {choice.comment}".rstrip())
    return 0


def choices_of(kind: str) -> list[Choice]:
    """`choices_of("models")`: the YAML files of one kind."""
    return recipes() if kind == "recipes" else group_options(GROUPS[kind])


def _as_dict(choice: Choice) -> dict[str, Any]:
    return {"name": choice.name, "comment": choice.comment, "path": str(as_typed_here(choice.path))}
