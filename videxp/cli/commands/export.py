"""videxp export: a run's model or weights in a file of their own, for use without the run folder; or what colors
become."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from videxp import config
from videxp.core.contract import Contract, contract_of
from videxp.core.errors import BadRequest, VidexpError, require_installed
from videxp.core.files import replacing
from videxp.core.options import OneLineParser
from videxp.core.outputs import identities, require_output_file
from videxp.core.ranges import whole_number
from videxp.deploy.exporting.package import describe_file

if TYPE_CHECKING:
    from videxp.deploy.exporting.package import Package
    from videxp.deploy.exporting.writing import Kind
    from videxp.runs.folder import RunFolder

SUMMARY = "RUN --format onnx         a model in a file that needs no videxp, checked against the run"
WRITERS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino", "onnx", "onnxscript")}
"""What writes and opens a format: OpenVINO's by way of ONNX."""
GRAPHS = {"onnx": ".onnx", "torch": ".pt2", "openvino": ".xml"}


def main(arguments: list[str]) -> int:
    parser = OneLineParser(prog="videxp export", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--format", choices=[*GRAPHS, "triton", "safetensors", "cube"], required=True)
    parser.add_argument("--video", metavar="VIDEO", type=Path, help="of cube: the video whose colors it is for")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="default: RUN/model.onnx, RUN/weights.safetensors, ...; of triton: the folder of models, RUN/triton",
    )
    parser.add_argument(
        "--step",
        action="store_true",
        help="of a streaming network: one frame and the state before it in, the answer and the state after it out",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    parser.add_argument(
        "--clips", metavar="N", type=whole_number(1), default=16, help="test clips that the file is compared on"
    )
    parser.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=whole_number(1),
        default=900,
        help="for writing the file and comparing its answers (default 900); loading and testing the run come on top",
    )
    parser.add_argument(
        "--license", metavar="TEXT", default="", help="of the weights, for the file and the card beside it"
    )
    parser.add_argument("--sign", metavar="KEY.pem", type=Path, help="sign the file with an Ed25519 key: FILE.sig.json")
    options = parser.parse_args(arguments)
    if options.format == "cube" and (options.sign or options.license):
        raise BadRequest("--sign and --license are of models: leave them out with --format cube")
    if options.step and options.format in ("cube", "safetensors"):
        raise BadRequest(f"--step is of {', '.join(GRAPHS)} and triton: leave it out with --format {options.format}")
    if options.sign is not None:
        from videxp.runs.signing import require_private_key

        require_private_key(options.sign)
    if (options.format == "cube") != (options.video is not None):
        raise BadRequest("--format cube and --video VIDEO go together: the colors hang on how the video looks")
    if options.format == "triton":
        return _export_repository(options)
    if options.format in GRAPHS:
        return _export_graph(options)
    return _export_cube(options) if options.format == "cube" else _export_weights(options)


def _export_graph(options: argparse.Namespace) -> int:
    """The network with what goes before and after it."""
    from videxp.runs.folder import open_run

    run = open_run(options.run)
    suffix = GRAPHS[options.format]
    output = options.output or run.path / f"model{suffix}"
    if output.suffix.lower() != suffix:
        raise BadRequest(f"{output}: a file of --format {options.format} is called {output.with_suffix(suffix).name}")
    for file in (output, output.with_suffix(".bin")) if options.format == "openvino" else (output,):
        require_output_file(file, overwrite=options.overwrite)
    package = _write_graph(run, options.format, output, options)
    for line in [str(output), *describe_file(package)]:
        print(line)
    write_beside(run, output, options)
    return 0


def _export_repository(options: argparse.Namespace) -> int:
    """FOLDER/NAME of a Triton server: the ONNX file, its card, and config.pbtxt. NAME is that of the run's folder."""
    from videxp.deploy.exporting.triton import require_absent, write_repository
    from videxp.runs.folder import open_run

    if options.overwrite:
        raise BadRequest("--overwrite is for files: a server may be reading the folder; give another with -o FOLDER")
    run = open_run(options.run)
    folder, name = options.output or run.path / "triton", run.path.resolve().name
    require_absent(folder, name)
    with tempfile.TemporaryDirectory(dir=run.path, prefix=".export_") as held:
        file = Path(held) / "model.onnx"
        package = _write_graph(run, "onnx", file, options)
        state = [(one.input, one.output) for one in package.state]
        repository = write_repository(file, folder, name=name, state=state)
    for line in [f"{repository}: for tritonserver --model-repository={folder}", *describe_file(package)]:
        print(line)
    write_beside(run, repository / "1/model.onnx", options)
    return 0


def _write_graph(run: "RunFolder", kind: "Kind", output: Path, options: argparse.Namespace) -> "Package":
    cfg = config.load_resolved(run.config)
    require_installed(*WRITERS.get(kind, ()), extra="export")

    from videxp.deploy.exporting.exporting import Limits, export_run
    from videxp.deploy.exporting.runs import load
    from videxp.training.changed_inputs import say_changed_inputs
    from videxp.training.log_file import quiet_libraries

    say_changed_inputs(run, cfg)
    quiet_libraries()
    loaded, limits = load(run, cfg), Limits(clips=options.clips, seconds=options.time_limit)
    return export_run(
        loaded, kind=kind, output=output, limits=limits, say=print, license=options.license, is_step=options.step
    )


def write_beside(run: "RunFolder", output: Path, options: argparse.Namespace) -> None:
    """FILE.card.md, which is made anew with the file, and with --sign FILE.sig.json, which covers both."""
    from videxp.runs.card import write_card

    card = write_card(run, output.with_name(f"{output.name}.card.md"), license=options.license)
    print(card)
    if options.sign is not None:
        from videxp.runs.signing import write_signature

        print(write_signature(output, options.sign, beside=[card]))


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
    if options.license:
        about["license"] = options.license
    with replacing(output) as temporary:
        save_file(network, temporary, metadata=about)
        if weights_hash(load_file(temporary)) != digest:
            raise VidexpError(f"{output}: what was written is not what was to be written; is the disk sound?")
    count = sum(tensor.numel() for tensor in network.values())
    print(f"{output}: {len(network)} tensors, {count:,} values of {checkpoint.relative_to(run.path)}")
    print(f"sha256 {digest} (names, shapes, types and bytes; read back and compared)")
    write_beside(run, output, options)
    return 0
