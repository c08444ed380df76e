"""videxp export: a run's weights in a file of their own, for use without the run folder; or what colors become."""

import argparse
import json
from pathlib import Path

from videxp import config
from videxp.core.contract import Contract, contract_of
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import replacing
from videxp.core.outputs import identities, require_output_file

SUMMARY = "RUN --format safetensors  a run's weights in one file, read back and compared"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="videxp export", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--format", choices=["safetensors", "cube"], required=True)
    parser.add_argument("--video", metavar="VIDEO", type=Path, help="of cube: the video whose colors it is for")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="default: RUN/weights.safetensors, RUN/VIDEO.cube"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    options = parser.parse_args(arguments)
    if (options.format == "cube") != (options.video is not None):
        raise BadRequest("--format cube and --video VIDEO go together: the colors hang on how the video looks")
    return _export_cube(options) if options.format == "cube" else _export_weights(options)


def _export_cube(options: argparse.Namespace) -> int:
    """The lookup table that the run's network gives a video."""
    from videxp.deploy.cube import export_cube
    from videxp.runs.folder import open_run
    from videxp.tasks.building import load_task
    from videxp.training.changed_inputs import say_changed_inputs

    run = open_run(options.run)
    output = options.output or run.path / f"{options.video.stem}.cube"
    require_output_file(output, overwrite=options.overwrite, inputs=identities([options.video]))
    cfg = config.load_resolved(run.config)
    say_changed_inputs(run, cfg)
    size = export_cube(load_task(cfg, run.checkpoint()).deployed, options.video, output)
    print(f"{output}: a table of {size} x {size} x {size} colors, as {options.video} gets it")
    return 0


def _export_weights(options: argparse.Namespace) -> int:
    from safetensors.torch import load_file, save_file

    from videxp.runs.folder import open_run
    from videxp.runs.weights import read_checkpoint, weights_hash
    from videxp.training.changed_inputs import say_changed_inputs

    run = open_run(options.run)
    output = options.output or run.path / "weights.safetensors"
    require_output_file(output, overwrite=options.overwrite)
    cfg = config.load_resolved(run.config)
    say_changed_inputs(run, cfg)
    checkpoint = run.checkpoint()
    state = read_checkpoint(checkpoint)["state_dict"]
    # The network alone, under the names that `model.weights=FILE` looks for; clones, since views cannot be saved.
    prefix = (contract_of(str(cfg.task._target_)) or Contract()).exported
    network = {k.removeprefix(prefix): v.clone().contiguous() for k, v in state.items() if k.startswith(prefix)}
    if not network:
        raise BadRequest(f"{checkpoint}: no tensor's name starts with {prefix!r}: not a run of videxp")
    digest = weights_hash(network)
    about = {"format": "pt", "weights_sha256": digest, "model": json.dumps(config.plain(cfg)["model"])}
    with replacing(output) as temporary:
        save_file(network, temporary, metadata=about)
        if weights_hash(load_file(temporary)) != digest:
            raise VidexpError(f"{output}: what was written is not what was to be written; is the disk sound?")
    count = sum(tensor.numel() for tensor in network.values())
    print(f"{output}: {len(network)} tensors, {count:,} values of {checkpoint.relative_to(run.path)}")
    print(f"sha256 {digest} (names, shapes, types and bytes; read back and compared)")
    return 0
