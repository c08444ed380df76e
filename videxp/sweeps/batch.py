"""Predicting many files by jobs of a launcher: shards of the inputs, resumable, nothing done twice.

OUT.jobs/ holds a record of each input, `parts/<hash of its path>.json`: the hashes of the input, the weights and the
options, and its state: planned, done or failed. A record is written after the output, which appears whole, so a kill at
any moment leaves a part that is done or one that is to be done.
"""

import argparse
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import hash_file, read_json, sweep
from videxp.core.lines import show, warn
from videxp.deploy.parts import InputPart, jobs_folder, part_options
from videxp.runs.evaluation_files import short_hash
from videxp.runs.folder import write_json
from videxp.sweeps.launching import OUTPUT, Launcher, started

SHARD = "shard.json"
"""What a job has to do, in its folder."""
UNIMPORTANT = ("inputs", "output", "outputs", "split", "overwrite", "device", "made_by", "holes")
"""Options that change no output, or follow from the others."""
NOT_OURS = "this input, these weights and options: choose another -o, or add --overwrite"
MAX_NAMED = 10  # failed inputs, on the terminal; all are in OUT.jobs/failed.txt


@dataclass(frozen=True)
class Batch:
    """A request, and the folder of its jobs."""

    folder: Path
    parts: Sequence[InputPart]
    weights: str
    settings: str
    """Hash of the options."""

    def record(self, source: Path) -> Path:
        return record_path(self.folder, source)

    def facts(self, part: InputPart) -> dict[str, str]:
        """What an output follows from. Raises OSError for an input that cannot be read."""
        given = {"input": str(part.source), "input_sha256": _content_hash(part.source)}
        return {**given, "weights": self.weights, "settings": self.settings}

    def to_do(self, *, overwrite: bool) -> list[InputPart]:
        """The parts that are not done, written down as planned. Raises BadRequest where outputs of something else are
        in their places."""
        left = {part.source: facts for part in self.parts if not self._is_done(part, facts := self.facts(part))}
        parts = [part for part in self.parts if part.source in left]
        for part in parts if not overwrite else ():
            is_ours = _without_state(_read(self.record(part.source))) == left[part.source]
            outputs = [file for file in part.files if not file.is_relative_to(self.folder)]
            if not is_ours and (there := next((file for file in outputs if file.exists()), None)):
                raise BadRequest(f"{there}: is there already, and not of {NOT_OURS}")
        for part in parts:
            for file in part.files:
                sweep(file)  # halves that a kill left, under hidden names
                if file.is_relative_to(self.folder):
                    file.unlink(missing_ok=True)
            write_json(self.record(part.source), {**left[part.source], "state": "planned"})
        return parts

    def failed(self) -> dict[Path, str]:
        """Input -> why it has no output."""
        records = {part.source: _read(self.record(part.source)) for part in self.parts}
        return {
            source: str(record.get("why") or f"its job ended before it; {self.folder}/*/*/{OUTPUT} says more")
            for source, record in records.items()
            if record.get("state") != "done"
        }

    def _is_done(self, part: InputPart, facts: dict[str, str]) -> bool:
        record = _read(self.record(part.source))
        same = record.get("state") == "done" and _without_state(record) == facts
        return same and all(file.exists() for file in part.files)


def spread(
    options: argparse.Namespace, *, predictor: Any, launcher: Launcher, run: Path, words: list[str], weights: str
) -> int:
    """Predict the checked request by jobs; returns the exit status, 1 where an input failed.

    words: the request's own, from which each job reads its options again. Raises BadRequest for outputs that are there
    already.
    """
    relevant = {name: value for name, value in vars(options).items() if name not in UNIMPORTANT}
    batch = Batch(jobs_folder(options), predictor.parts(options), weights, short_hash(relevant))
    request = f"{weights} {batch.settings}"
    is_ours = _read(batch.folder / "batch.json").get("request") == request
    if hasattr(predictor, "join") and options.output.exists() and not (options.overwrite or is_ours):
        raise BadRequest(f"-o {options.output}: is there already, and not of {NOT_OURS}")
    _wait_for_earlier(batch.folder, launcher)
    to_do = batch.to_do(overwrite=options.overwrite)
    if done := len(batch.parts) - len(to_do):
        show(f"{done} of {len(batch.parts)} are done already")
    if to_do:
        write_json(batch.folder / "batch.json", {**_read(batch.folder / "batch.json"), "request": request})
        shards = _write_shards(batch.folder, to_do, count=launcher.slots, run=run, words=words, share=launcher.share())
        _carry_out(batch.folder, shards, launcher)
    failed = batch.failed()
    if hasattr(predictor, "join"):
        predictor.join(options, batch.parts, failed)
    show(f"{len(batch.parts) - len(failed)} of {len(batch.parts)} inputs -> {batch.folder.with_suffix('')}")
    return _report(batch.folder, failed)


def record_path(folder: Path, source: Path) -> Path:
    name = hashlib.blake2b(str(source.absolute()).encode(errors="surrogateescape"), digest_size=12).hexdigest()
    return folder / "parts" / f"{name}.json"


def carry_out_shard(
    shard: dict[str, Any], options: argparse.Namespace, *, check: Callable[..., Any], predict: Callable[..., int]
) -> int:
    """What a job does: each part that is not done, one after the other; one that fails costs the others nothing."""
    folder = Path(shard["folder"])
    for source, settings in shard["parts"]:
        path = record_path(folder, Path(source))
        record = _read(path)
        if record.get("state") == "done":
            continue
        own, why = part_options(options, Path(source), settings), ""
        try:
            check(own)
            if predict(own):
                why = f"see {shard['output']}"
        except (VidexpError, OSError, RuntimeError) as error:
            why = " ".join(str(error).split())[:300]
        state = {"state": "failed", "why": why} if why else {"state": "done"}
        write_json(path, {**_without_state(record), **state})
    return 0


def _write_shards(
    folder: Path, parts: Sequence[InputPart], *, count: int, run: Path, words: list[str], share: dict[str, int]
) -> list[Path]:
    """A folder for each job, beneath one of this attempt; those of earlier attempts are removed."""
    attempt = int(_read(folder / "batch.json").get("attempt", 0)) + 1
    for old in folder.glob("attempt-*"):
        shutil.rmtree(old)
    shards = []
    for number in range(min(count, len(parts))):
        shard = folder / f"attempt-{attempt}" / f"shard-{number}"
        shard.mkdir(parents=True)
        own = [(str(part.source), part.settings) for part in parts[number::count]]
        threads = share.get("hardware.num_threads")
        facts = {"folder": str(folder.absolute()), "run": str(run), "words": words, "threads": threads, "parts": own}
        facts["output"] = str(shard / OUTPUT)
        write_json(shard / SHARD, facts)
        shards.append(shard)
    write_json(folder / "batch.json", {**_read(folder / "batch.json"), "attempt": attempt, "handles": []})
    return shards


def _carry_out(folder: Path, shards: Sequence[Path], launcher: Launcher) -> None:
    """Start all jobs and wait for their ends; Ctrl-C ends those that do not outlive this process."""
    about = {**_read(folder / "batch.json"), "launcher": type(launcher).__name__}
    handles: list[str] = []
    for shard, handle in started(launcher, shards):
        handles.append(handle)
        write_json(folder / "batch.json", {**about, "handles": handles})
        show(f"{shard.name}: {launcher.place(handle)}")
    _wait(handles, launcher)


def _wait_for_earlier(folder: Path, launcher: Launcher) -> None:
    """Jobs of an earlier call that are still at work do what is to be done: they are waited for."""
    about = _read(folder / "batch.json")
    if about.get("launcher") == type(launcher).__name__ and (handles := about.get("handles")):
        ended = launcher.ended(handles)
        if left := [handle for handle in handles if handle not in ended]:
            show(f"{len(left)} jobs of an earlier call are still at work: waiting for them")
            _wait(left, launcher)


def _wait(handles: Sequence[str], launcher: Launcher) -> None:
    left = list(handles)
    try:
        while left:
            for handle, how in launcher.ended(left).items():
                left.remove(handle)
                if how != "ended":
                    show(f"{launcher.place(handle)} {how}")
            if left:
                time.sleep(launcher.poll_seconds)
    except KeyboardInterrupt:
        if launcher.outlived:
            show("the jobs go on; the same command waits for them again")
        else:
            launcher.stop(left)
        raise


def _report(folder: Path, failed: dict[Path, str]) -> int:
    listing = folder / "failed.txt"
    lines = [f"{source}: {why.removeprefix(f'{source}: ')}" for source, why in failed.items()]
    if not lines:
        listing.unlink(missing_ok=True)
        return 0
    listing.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
    for line in lines[:MAX_NAMED]:
        warn(line)
    if len(lines) > MAX_NAMED:
        warn(f"and {len(lines) - MAX_NAMED} more: {listing}")
    return 1


def _content_hash(source: Path) -> str:
    """Of a file; of a folder of pictures, of all their names and contents."""
    if source.is_file():
        return hash_file(source, hashlib.sha256())
    digest = hashlib.sha256()
    for file in sorted(file for file in source.iterdir() if file.is_file()):
        digest.update(f"{file.name}\0{hash_file(file, hashlib.sha256())}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _without_state(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("state", "why")}


def _read(path: Path) -> dict[str, Any]:
    """Empty where there is none, or a damaged one: then the part is done again."""
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
