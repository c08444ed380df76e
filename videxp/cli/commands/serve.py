"""videxp serve: a model behind an address, to which videos are sent; the answer
is what `videxp predict` writes. The page at / is for trying it, /openapi.json
describes it, /health and /metrics are for machines:

  curl -F video=@VIDEO.mp4 http://127.0.0.1:8000/predict

Options of the run's task, which videxp predict RUN --help lists, come after --:

  videxp serve RUN --port 8001 -- --threshold 0.3
"""

import argparse
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

from videxp import config
from videxp.cli.commands.predict import find_predictor, parser_of
from videxp.core.errors import BadRequest, require_installed
from videxp.core.options import VERIFY, OneLineParser, add_device
from videxp.core.ranges import real_number, whole_number
from videxp.core.secrets import remember
from videxp.runs.signing import require_signed

if TYPE_CHECKING:
    from videxp.deploy.serving.served import Served
    from videxp.runs.folder import RunFolder

SUMMARY = "RUN|FILE                  the model behind an address, with a page to try it"
TOKEN = "VIDEXP_SERVE_TOKEN"
MIN_TOKEN = 8


def main(arguments: list[str]) -> int:
    own, words = _parted(arguments)
    options = parse_arguments(own)
    token = read_token(options.token, host=options.host)
    if options.verify is not None:
        require_signed(Path(options.run), options.verify)
    run = find_run(options.run)  # before the slow imports
    require_installed("fastapi", "uvicorn", extra="serve")

    from videxp.deploy.serving.server import Service, listen, serve

    with listen(options.host, options.port) as listening:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # others would not be there after a fork
        served = load_served(run, options, words)
        service = Service(options.workers, options.batch, options.queue, token, threads)
        serve(served, listening, service)
    return 0


def find_run(path: str) -> "RunFolder | None":
    """None: `path` may be an exported file. Raises BadRequest for what is neither that nor a run folder."""
    from videxp.deploy.exporting.package import is_exported, require_exported
    from videxp.runs.folder import open_run

    if not is_exported(path):
        return open_run(path)
    require_exported(Path(path))
    return None


def load_served(run: "RunFolder | None", options: argparse.Namespace, words: tuple[str, ...]) -> "Served":
    """run: see `find_run`. Raises BadRequest for what cannot be served, and for `words` that its predictor does not
    take."""
    from videxp.deploy.serving.loading import model_of_file, model_of_run
    from videxp.deploy.serving.refusal import RequestLimits
    from videxp.deploy.serving.served import Served, require_servable
    from videxp.training.changed_inputs import say_changed_inputs
    from videxp.training.log_file import quiet_libraries

    if run is None and options.device not in ("auto", "cpu"):
        raise BadRequest(f"--device {options.device}: a file computes on the CPU here: leave --device out")
    model = model_of_file(Path(options.run)) if run is None else model_of_run(run)
    predictor = find_predictor(model.cfg, options.run)
    parser = parser_of(predictor, options.run)
    require_servable(predictor, words, run=options.run, read_options=parser.parse_args)
    if run is not None:
        say_changed_inputs(run, model.cfg)
    quiet_libraries()
    datamodule = config.build(model.cfg.dataset)  # for its clips and transforms; the data need not be there
    return Served(
        title=f"{model.name} ({str(model.cfg.task._target_).split('.')[-1]})",
        load=model.make_loader(datamodule),
        device="cpu" if run is None else options.device,
        datamodule=datamodule,
        predictor=predictor,
        read_options=parser.parse_args,
        words=words,
        limits=RequestLimits(
            max_bytes=round(options.max_mb * 1e6),
            max_seconds=options.max_seconds,
            max_pixels=options.max_pixels,
            seconds=options.timeout,
            memory_bytes=options.memory_mb << 20,
        ),
    )


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = OneLineParser(prog="videxp serve", description=__doc__, formatter_class=raw)
    parser.add_argument("run", metavar="RUN|FILE", help="a run folder, or a file of videxp export")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1: this machine alone"
    )
    parser.add_argument(
        "--port", type=whole_number(0, 65535), default=8000, metavar="N", help="default 8000; 0: a free one"
    )
    parser.add_argument(
        "--token", metavar="TEXT", help=f"what requests must send as their bearer token; better in {TOKEN}"
    )
    parser.add_argument("--workers", type=whole_number(1), default=1, metavar="N", help="processes; default 1")
    parser.add_argument(
        "--batch",
        type=whole_number(1),
        default=8,
        metavar="N",
        help="videos that a classifier answers together; default 8",
    )
    parser.add_argument(
        "--queue",
        type=whole_number(0),
        default=16,
        metavar="N",
        help="requests that may wait, others get 429; default 16",
    )
    add_device(parser)
    parser.add_argument("--verify", metavar="PUB.pem", type=Path, help=VERIFY)
    limits = parser.add_argument_group("limits of a request")
    limits.add_argument(
        "--max-mb", type=real_number(0, above=True), default=100, metavar="N", help="megabytes of the file; default 100"
    )
    limits.add_argument(
        "--max-seconds",
        type=real_number(0, above=True),
        default=120,
        metavar="S",
        help="length of the video; default 120",
    )
    limits.add_argument(
        "--max-pixels", type=whole_number(1), default=1920 * 1088, metavar="N", help="of a frame; default 1920 x 1088"
    )
    limits.add_argument(
        "--timeout", type=real_number(0, above=True), default=120, metavar="S", help="seconds of work; default 120"
    )
    limits.add_argument(
        "--memory-mb", type=whole_number(1), default=4096, metavar="N", help="MiB that a video may take; default 4096"
    )
    return parser.parse_args(arguments)


def read_token(given: str | None, *, host: str) -> str:
    """ "" for none. Raises BadRequest for a short one, and for none where others than this machine can ask."""
    token = os.environ.get(TOKEN, "") if given is None else given
    if given == "" or (token and len(token) < MIN_TOKEN):
        raise BadRequest(f"--token: takes at least {MIN_TOKEN} characters")
    if not token and not _is_this_machine(host):
        raise BadRequest(f"--host {host}: others can ask there: set a token, {TOKEN}=... or --token TEXT")
    remember(token)
    return token


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parted(arguments: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """(videxp serve's own, those after --). Raises BadRequest for an output among these."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    words = tuple(arguments[at + 1 :])
    if output := next((word for word in words if word.startswith(("-o", "--output"))), None):
        raise BadRequest(f"-- {output}: an answer goes to who asks for it: leave it out")
    return arguments[:at], words
