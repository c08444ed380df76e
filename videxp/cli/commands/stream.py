"""videxp stream: a run's model at work on video as it comes: a file, a camera, an address of a network, stdin.

SOURCE is VIDEO.mp4, /dev/video0, rtsp://, rtmp:// or http://..., or - (stdin). Answers and events are JSON, one a line.
A file loses no frame; a live source never waits: what is too late is dropped and counted. What is lost is opened again.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from videxp import config
from videxp.core.contract import contract_of, contract_trouble
from videxp.core.errors import BadRequest
from videxp.core.files import sweep
from videxp.core.options import VERIFY, OneLineParser, add_device, positive, take_verify
from videxp.core.ranges import whole_number
from videxp.deploy.exporting.package import is_exported
from videxp.runs.signing import require_signed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videxp.deploy.streaming.outputs import Places
    from videxp.deploy.streaming.streamer import Streamer
    from videxp.video.live.options import CaptureOptions
    from videxp.video.live.source import LiveSource

SUMMARY = "RUN SOURCE                a run at work on a camera, an address or a file at its pace"
USAGE = """usage: videxp stream RUN SOURCE [-o ANSWERS.jsonl] [--video OUT.mp4] [...]

RUN is a run folder, or a file of videxp export; some options depend on its
task: videxp stream RUN --help
SOURCE is VIDEO.mp4, /dev/video0, rtsp://host/path (rtmp, http, udp), or - for
stdin"""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    path, *rest = arguments
    if path.startswith("-"):
        raise BadRequest(f"the run folder comes first, got {path}: videxp stream RUN SOURCE {path} ...")
    key, rest = take_verify(rest)
    if key is not None:
        require_signed(Path(path), key)

    cfg, load = open_file(path) if is_exported(path) else open_folder(path)
    module, options = read_request(path, str(cfg.task._target_), rest)

    from videxp.deploy.streaming.outputs import require_places
    from videxp.video.live.source import read_source

    source = read_source(options.source)
    hide_addresses(options)
    capture = read_capture_options(options, source)
    places = require_places(
        lines=options.output,
        video=options.video,
        to=options.to,
        show=options.show,
        overwrite=options.overwrite,
        source=source,
    )

    streamer = open_run_streamer(module, cfg, load, options)
    require_latency(streamer, options.max_latency)
    about = {"run": path, "task": str(cfg.task._target_).rsplit(".", maxsplit=1)[-1]}
    return stream(streamer, source, capture, places, about=about, attempts=options.reconnect)


Load = Callable[[Any], Any]
"""A data module -> the run's task, trained."""


def open_folder(path: str) -> "tuple[DictConfig, Load]":
    """A run folder's config and its task, without torch until that is loaded. Raises BadRequest."""
    from videxp.runs.folder import open_run

    run = open_run(path)
    cfg = config.load_resolved(run.config)

    def load(datamodule: Any) -> Any:
        from videxp.tasks.building import load_task
        from videxp.training.changed_inputs import say_changed_inputs

        say_changed_inputs(run, cfg)
        return load_task(cfg, run.checkpoint())

    return cfg, load


def open_file(path: str) -> "tuple[DictConfig, Load]":
    """The same of a file that `videxp export` wrote. Raises BadRequest."""
    from videxp.deploy.exporting.network import config_of, task_of
    from videxp.deploy.exporting.opening import open_exported

    exported = open_exported(path)
    cfg = config_of(exported)
    return cfg, lambda datamodule: task_of(exported, cfg, datamodule.eval_transform)


def read_request(run: str, task: str, words: list[str]) -> tuple[ModuleType, argparse.Namespace]:
    """The module that the run's task names, and what it is asked for. Raises BadRequest."""
    name = task.rsplit(".", maxsplit=1)[-1]
    if trouble := contract_trouble(task):
        raise BadRequest(f"{run} is a run of {task}: {trouble}")
    contract = contract_of(task)
    if contract is None or not contract.streamer:
        raise BadRequest(f"{run} is a run of {name}, which cannot go over a stream: videxp predict {run} --help")
    module = import_module(contract.streamer)
    about = (module.__doc__ or "").split("\n\nShapes")[0]
    epilog = f"--verify PUB.pem: {VERIFY}"
    parser = OneLineParser(prog=f"videxp stream {run}", description=f"{__doc__}\n{about}", epilog=epilog)
    add_arguments(parser)
    module.add_arguments(parser.add_argument_group(f"of {name}"))
    return module, parser.parse_args(words)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of all tasks."""
    parser.add_argument("source", metavar="SOURCE", help="VIDEO.mp4, /dev/video0, rtsp://..., http://..., -")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="answers, a line of JSON each; default: stdout"
    )
    parser.add_argument(
        "--video", metavar="OUT", help="a video with the answers drawn in, or the restored one; - : stdout"
    )
    parser.add_argument("--to", metavar="ADDRESS", help="the same to a server: rtsp://..., rtmp://..., udp://...")
    parser.add_argument("--show", action="store_true", help="the same in a window of ffplay's")
    parser.add_argument("--pace", choices=["fast", "real"], default="fast", help="of a file; default: fast")
    parser.add_argument(
        "--policy",
        choices=["auto", "wait", "drop"],
        default="auto",
        help="when frames come faster than they are answered; default: files wait, live sources drop the oldest",
    )
    parser.add_argument(
        "--buffer", type=whole_number(1), default=32, metavar="N", help="frames that may wait; default: 32"
    )
    parser.add_argument(
        "--timeout", type=positive, default=10.0, metavar="S", help="seconds without a frame: lost; default: 10"
    )
    parser.add_argument(
        "--reconnect",
        type=whole_number(0),
        default=8,
        metavar="N",
        help="attempts after 0.5, 1, 2 ... 30 s; default: 8",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of FFmpeg's for the source: video_size=1280x720, rtsp_transport=udp",
    )
    parser.add_argument(
        "--max-latency", type=whole_number(0), metavar="N", help="refuse a network that answers more frames late"
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")


def read_capture_options(options: argparse.Namespace, source: "LiveSource") -> "CaptureOptions":
    """Raises BadRequest for what the source cannot do."""
    from videxp.video.live.options import CaptureOptions

    if options.pace == "real" and source.kind != "file":
        raise BadRequest(f"--pace real: {source.shown} has a pace of its own: leave --pace out")
    if options.policy == "drop" and source.kind == "file" and options.pace == "fast":
        raise BadRequest("--policy drop: a file that is read as fast as it goes would lose most: add --pace real")
    if options.option and source.kind == "file":
        raise BadRequest(f"--option {options.option[0]}: files are read as videxp predict reads them: leave it out")
    pairs = [text.partition("=") for text in options.option]
    if bad := next((text for text, (key, equals, _) in zip(options.option, pairs) if not (key and equals)), None):
        raise BadRequest(f"--option {bad}: takes KEY=VALUE, such as rtsp_transport=udp")
    return CaptureOptions(
        policy=options.policy,
        buffer=options.buffer,
        pace=options.pace,
        timeout_seconds=options.timeout,
        options={key: value for key, _, value in pairs},
    )


def hide_addresses(options: argparse.Namespace) -> None:
    """Other users of the machine see command lines."""
    from videxp.core.process_title import hide_arguments
    from videxp.video.live.source import secrets_of

    hide_arguments(secret for text in (options.source, options.to or "") for secret in secrets_of(text))


def open_run_streamer(module: ModuleType, cfg: "DictConfig", load: Load, options: argparse.Namespace) -> "Streamer":
    """Raises BadRequest."""
    from videxp.deploy.restore_files import usable_device
    from videxp.training.log_file import quiet_libraries

    quiet_libraries()
    datamodule = config.build(cfg.dataset)  # for its clips and transforms; the data need not be there
    return module.open_streamer(load(datamodule).to(usable_device(options.device)), datamodule, options)


def require_latency(streamer: "Streamer", most: int | None) -> None:
    """Raises BadRequest where an answer may come later than `most` frames after its own."""
    late = streamer.about["latency_frames"]
    if most is not None and late > most:
        raise BadRequest(
            f"--max-latency {most}: {streamer.about['mode']}: an answer may come {late} frames after its own\n"
            f"{streamer.remedy}"
        )


def stream(
    streamer: "Streamer",
    source: "LiveSource",
    capture: "CaptureOptions",
    places: "Places",
    *,
    about: dict[str, Any],
    attempts: int,
) -> int:
    """The first Ctrl-C or SIGTERM ends the stream: what it has is answered, and files are finished; the second one ends
    it at once, without a video."""
    from dataclasses import replace

    from videxp.deploy.streaming.course import run_stream
    from videxp.deploy.streaming.outputs import STDOUT, open_outputs
    from videxp.training.processes.signals import Interrupted, Signals

    def leave_nothing() -> None:
        if places.video not in (None, STDOUT):
            sweep(Path(places.video))

    capture = replace(capture, is_accurate=streamer.is_accurate)
    try:
        with Signals(at_once=leave_nothing) as signals, signals.held(), open_outputs(places) as outputs:
            return run_stream(
                streamer,
                source,
                capture,
                outputs,
                about=about,
                draws=places.draws,
                attempts=attempts,
                stopped=lambda: signals.received is not None,
            )
    except Interrupted as interrupted:
        return interrupted.exit_status
