"""What a run was trained with against what is there now, for every command that goes on with a run or judges it."""

from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.errors import BadRequest
from videxp.core.lines import warn
from videxp.training.processes.rank import is_rank_zero

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.data.manifest import Manifest
    from videxp.runs.differences import Difference
    from videxp.runs.folder import RunFolder

CHANGEABLE = (
    *("dataset.root", "dataset.cache", "dataset.max_unreadable", "dataset.preparing.allow_copies"),
    *("trainer.max_epochs", "trainer.max_steps", "trainer.max_time"),
    *("callbacks.checkpoint.every_n_", "callbacks.checkpoint.on_failed_write", "callbacks.nonfinite."),
)
"""What may change while a run goes on, by the beginnings of keys, besides what is of a machine."""


NOT_KNOWN = "whether anything changed since the training is not known"


def present_inputs(cfg: "DictConfig", *, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """As `record_inputs` describes; `known`: `files` as a run recorded them. Raises BadRequest for a variable that is
    not set."""
    from videxp.runs.inputs import OF_A_MACHINE, record_inputs

    environment = config.environment_values(cfg, leave_out=OF_A_MACHINE)
    return record_inputs(config.flat(cfg), environment, known=known)


def changed_inputs(
    record: dict[str, Any], cfg: "DictConfig", *, file: "DictConfig", exactly: bool = False
) -> list["Difference"]:
    """What differs from a provenance: config.yaml, variables, files that it names, and source files.

    cfg: config.yaml with the overrides that were given, `file` without. exactly: each file is read again. A file that
    is somewhere else now is the same. Raises BadRequest for a variable that is not set.
    """
    from videxp.runs.code_state import source_hashes
    from videxp.runs.differences import ABSENT, code_differences, config_differences, outside_differences
    from videxp.runs.inputs import as_json

    before = record["inputs"]
    after = present_inputs(cfg, known=None if exactly else before["files"])
    hashes = [{key: facts["sha256"] for key, facts in inputs["files"].items()} for inputs in (before, after)]
    edited = [
        one
        for one in config_differences(before["config"], as_json(config.flat(file)))
        if hashes[0].get(one.name, ABSENT) != hashes[1].get(one.name)
    ]
    packages = sorted({name.split("/")[0].removesuffix(".py") for name in record["sources"]})
    code = code_differences(record["sources"], source_hashes(packages))
    return [*edited, *outside_differences(before, after), *code]


def config_with_variables(cfg: "DictConfig") -> dict[str, Any]:
    """The flat config, with a hash of each value that comes from the environment, which may differ between machines."""
    from videxp.runs.inputs import OF_A_MACHINE, hash_variables

    variables = hash_variables(config.environment_values(cfg, leave_out=OF_A_MACHINE))
    hashes = {key: f"{', '.join(one['names'])} #{one['hash'][:8]}" for key, one in variables.items()}
    return config.flat(cfg) | hashes


def say_changed_inputs(run: "RunFolder", cfg: "DictConfig", *, file: "DictConfig | None" = None) -> list["Difference"]:
    """A line on stderr with all that differs from what the run was trained with; nothing where nothing does.

    Arguments and errors as of `changed_inputs`. Of several processes, the first says it.
    """
    from videxp.runs.provenance import read_provenance

    try:
        record = read_provenance(run)
    except BadRequest as error:
        present_inputs(cfg)  # a variable that is not set is missed all the same
        warn(f"{error}: {NOT_KNOWN}")
        return []
    say_unrecorded(run, record)
    found = [one for one in changed_inputs(record, cfg, file=file or cfg) if not _is_free(one)]
    if found and is_rank_zero():
        warn(f"{run.path}: not as it was trained: {in_short(found)}")
    return found


def say_unrecorded(run: "RunFolder", record: dict[str, Any]) -> None:
    """A line on stderr where the record of a run's beginning was lost before it went on."""

    if (batches := record.get("unrecorded_batches")) and is_rank_zero():
        warn(f"{run.path}: what its first {batches} batches were trained with is not recorded")


def refuse_changed_inputs(run: "RunFolder", cfg: "DictConfig") -> None:
    """For a run that goes on: what may change in its midst, and code, is said in a line on stderr.

    Raises BadRequest for the rest: the state of an optimizer, say, keeps the learning rate that it began with.
    """
    from videxp.runs.provenance import read_provenance

    if run.is_planned or not (run.provenance.exists() or run.last.exists()):
        return  # it has not begun
    try:
        record = read_provenance(run)
    except BadRequest as error:  # the run itself is whole
        warn(f"{error}: {NOT_KNOWN}")
        return
    say_unrecorded(run, record)
    found = changed_inputs(record, cfg, file=cfg)
    if fixed := [one for one in found if not _may_change(one)]:
        one, *others = fixed
        more = f"; {in_short(others)}" if others else ""
        new = f"videxp train {record['recipe'] or 'RECIPE'} hydra.run.dir=FOLDER"
        back = "write it back" if one.kind == "config" else f"set {one.name} as it was"
        if one.kind == "file":
            back = "put the file back"
        raise BadRequest(
            f"{run.path}: not as it began: {one.name} {one.text}{more}\n"
            f"A run goes on as it began: {back}, or train anew: {new} ..."
        )
    if found and is_rank_zero():
        warn(f"{run.path} goes on, though not as it began: {in_short(found)}")


def refuse_other_data(run: "RunFolder", manifest: "Manifest") -> None:
    """Raises BadRequest where a run that goes on would meet other samples or classes than it began with."""
    from videxp.runs.differences import data_differences, summary
    from videxp.runs.provenance import data_facts, read_samples, samples

    before = run.known_provenance().get("data")
    if not isinstance(before, dict) or "fingerprint" not in before:
        return
    found = data_differences(before, data_facts(manifest), old=read_samples(run.data), new=samples(manifest))
    if found:
        raise BadRequest(
            f"{run.path}: other data than it began with: {summary(found)}\n"
            "A run goes on as it began: put the data back as they were, or train anew"
        )


def in_short(found: list["Difference"]) -> str:
    """In one line. videxp's own files are counted, not named."""
    from videxp.runs.differences import summary

    own = [one for one in found if one.kind == "code" and one.name.startswith("videxp/")]
    others = [one for one in found if one not in own]
    counted = [f"{len(own)} of videxp's own source files changed"] if own else []
    return "; ".join([*([summary(others)] if others else []), *counted])


def _is_free(difference: "Difference") -> bool:
    """Changes no result, or may change in a run's midst."""
    from videxp.runs.inputs import OF_A_MACHINE

    return difference.kind == "config" and difference.name.startswith((*OF_A_MACHINE, *CHANGEABLE))


def _may_change(difference: "Difference") -> bool:
    """Of a run that goes on; its network's weights are the checkpoint's."""
    is_begun_with = difference.kind == "file" and difference.name.startswith("model.")
    return difference.kind == "code" or is_begun_with or _is_free(difference)
