"""videxp verify: whether a run's files are those that it recorded, and whether a file is as it was signed.

Of a run: its weights, its config, what its evaluations were of, and the files that it was made from. Of anything with a
signature beside it: that too; `--key PUB.pem` says whose signature it has to be.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.errors import BadRequest
from videxp.core.files import is_run_folder
from videxp.core.options import OneLineParser

if TYPE_CHECKING:
    from videxp.runs.folder import RunFolder

SUMMARY = "RUN|FILE                  whether files are as they were recorded, and as they were signed"


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp verify", description=__doc__)
    parser.add_argument("target", metavar="RUN|FILE", type=Path, help="a run folder, an exported file, or a folder")
    parser.add_argument("--key", metavar="PUB.pem", type=Path, help="the public key that it must be signed with")
    options = parser.parse_args(arguments)
    target: Path = options.target
    is_run = is_run_folder(target)
    if not target.exists() and not is_signed(target):
        raise BadRequest(f"{target}: there is no such file or folder")
    if not is_run and not is_signed(target) and options.key is None:
        raise BadRequest(f"{target}: is no run folder and has no signature, so there is nothing to compare it with")
    troubles = run_troubles(target) if is_run else []
    if options.key is not None or is_signed(target):
        from videxp.runs.signing import signer, verify_signature

        found = verify_signature(target, options.key)
        troubles += found
        if not found:
            whose = f"that of {options.key}" if options.key else "whoever has it: --key PUB.pem compares it with yours"
            print(f"{target}: as it was signed by {signer(target)}, {whose}")
    for line in troubles:
        print(line)
    if not troubles and is_run:
        print(f"{target}: as it was recorded")
    return 1 if troubles else 0


def is_signed(target: Path) -> bool:
    from videxp.runs.signing import signature_path

    return signature_path(target).is_file()


def run_troubles(path: Path) -> list[str]:
    """A line for each thing that is not what the run recorded. Code is not compared: it lies outside of the run."""
    from videxp.runs.folder import open_run
    from videxp.runs.provenance import read_provenance
    from videxp.runs.reading import read_json

    run = open_run(str(path))
    record = read_provenance(run)
    troubles = weights_troubles(run, record.get("weights") or {})
    troubles += config_troubles(run, record)
    known = set((record.get("weights") or {}).values())
    for file in (run.evaluation, *sorted(run.path.glob("evaluation_*.json"))):
        if file.exists():
            of = read_json(file).get("weights")
            if of is None:
                troubles.append(f"{file}: cannot be read, or does not say of which weights it is")
            elif of not in known:
                troubles.append(f"{file}: is of other weights ({str(of)[:8]}) than those that the run recorded")
    return troubles


def weights_troubles(run: "RunFolder", recorded: dict[str, str | None]) -> list[str]:
    from videxp.runs.weights import checkpoint_hash  # torch

    if not recorded:
        return [f"{run.provenance}: records no weights: the run has not ended"]
    troubles = []
    for path, digest in ((run.best, recorded.get("best")), (run.last, recorded.get("last"))):
        try:
            now = checkpoint_hash(path)
        except BadRequest as error:
            troubles.append(str(error).splitlines()[0])
            continue
        if digest is not None and now is None:
            troubles.append(f"{path}: is missing; weights {digest[:8]} are recorded")
        elif digest != now:
            was = digest[:8] if digest else "none"
            troubles.append(f"{path}: holds weights {str(now)[:8]}, recorded are {was}")
    return troubles


def config_troubles(run: "RunFolder", record: dict[str, object]) -> list[str]:
    """Of config.yaml, of variables, and of each file that it names, read again."""
    from videxp import config
    from videxp.training.changed_inputs import changed_inputs

    cfg = config.load_resolved(run.config)
    found = [one for one in changed_inputs(record, cfg, file=cfg, exactly=True) if one.kind != "code"]
    troubles = [f"{run.config}: {one}" if one.kind == "config" else str(one) for one in found]
    if config.config_hash(cfg) != record["config_hash"] and not troubles:
        troubles.append(f"{run.config}: is not the config that was recorded ({record['config_hash']})")
    return troubles
