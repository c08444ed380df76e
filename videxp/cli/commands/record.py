"""videxp record: what a recipe gave, kept beside the recipe, and the table of all records."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.options import OneLineParser
from videxp.core.printable import as_typed_here

if TYPE_CHECKING:
    from videxp.runs.reading import Run

SUMMARY = "RUN...                    keep a recipe's results: experiments/TASK/NAME.json and the table"


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp record", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="finished runs of one recipe, each with another seed")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="also runs whose code was not committed; the record says so"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the recipe's record")
    parser.add_argument("--check", action="store_true", help="which records are of a recipe that has changed since")
    parser.add_argument("--license", metavar="TEXT", default="", help="of the weights, for the card of each run")
    parser.add_argument(
        "--sign", metavar="KEY.pem", type=Path, help="sign each run with an Ed25519 key: run.sig.json in it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.check == bool(options.runs):
        raise BadRequest("record: give runs, or --check alone")
    return _check() if options.check else _record(options)


def _record(options: argparse.Namespace) -> int:
    import json

    from videxp.runs import record
    from videxp.runs.card import write_card
    from videxp.runs.reading import find_runs, read_run
    from videxp.runs.signing import require_private_key, write_signature

    if options.sign is not None:
        require_private_key(options.sign)
    paths, _ = find_runs(options.runs)
    runs = [read_run(path) for path in paths]
    record.refuse_unfit(runs, allow_dirty=options.allow_dirty)
    recipe = _the_recipe(runs)
    about, path, experiments = _place(recipe.name)
    if path.exists() and not options.overwrite:
        raise BadRequest(f"{as_typed_here(path)} is there already: videxp record {' '.join(options.runs)} --overwrite")
    result = record.build_record(runs, recipe=recipe.name, recipe_hash=recipe.hash, about=about)
    record.write_record(path, result, experiments=experiments)
    cards = [write_card(run.folder, license=options.license) for run in runs]
    for run in runs if options.sign else ():
        write_signature(run.path, options.sign)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{recipe.name}: {len(runs)} run{'s' if len(runs) > 1 else ''}\n{record.to_text(result)}")
        print(f"{as_typed_here(path)}, {as_typed_here(experiments / 'README.md')}")
        print(f"{', '.join(str(as_typed_here(card)) for card in cards[:3])}{', ...' if len(cards) > 3 else ''}")
    return 0


def _the_recipe(runs: list["Run"]) -> "config.Recipe":
    """The one recipe that all runs are of, unchanged. Raises BadRequest else."""
    from videxp.runs.record import recipe_of

    names = list(dict.fromkeys(recipe_of(run) for run in runs))
    if len(names) > 1:
        raise BadRequest(f"these are runs of {len(names)} recipes ({', '.join(names)}); record one recipe at a time")
    recipe = config.read_recipe(names[0])
    for run in runs:
        if changes := recipe.differences(run.config):
            listed = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
            raise BadRequest(f"{run.path}: is not {recipe.name} as it stands now: {listed}")
    return recipe


def _place(recipe: str) -> tuple[str, Path, Path]:
    """(the recipe's first comment, where its record goes, the folder experiments/ around it).

    Beside the recipe; but in the current folder, where the recipe is part of an installed videxp.
    """
    from videxp.config.places import PACKAGE

    choice = next((choice for choice in config.recipes() if choice.name == recipe), None)
    if choice is None:
        raise BadRequest(f"{recipe}: is not under experiments/, so there is no place for its record")
    depth = recipe.count("/")
    experiments = choice.path.parents[depth]
    if experiments.is_relative_to(PACKAGE):
        experiments = Path.cwd() / "experiments"
    return choice.comment, experiments / f"{recipe}.json", experiments


def _check() -> int:
    from videxp.config.places import folders

    # Where the current folder has recipes, their records are the ones to keep: what is composed here takes its own
    # conf/ and experiments/ first, and a shipped recipe that inherits from one of them is no longer the shipped one.
    lines = stale_records(folders("experiments")[0])
    print("\n".join(lines) or "every record is of its recipe as it stands")
    return 1 if lines else 0


def stale_records(experiments: Path) -> list[str]:
    """One line for each record whose recipe has changed or gone. Reads YAML and JSON only; no torch."""
    from videxp.runs.record import read_records

    lines = []
    for path, record in read_records(experiments).items():
        name = path.relative_to(experiments).with_suffix("").as_posix()
        try:
            now = config.read_recipe(name).hash
        except BadRequest as error:
            now = f"{str(error).splitlines()[0]}"
        if now != record["recipe_hash"]:
            what = f"recipe hash {now}" if len(now) == 16 else now
            lines.append(
                f"{as_typed_here(path)}: recorded for {record['recipe_hash']}, now {what}; train and record it again"
            )
    return lines
